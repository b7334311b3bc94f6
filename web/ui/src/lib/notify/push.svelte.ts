import { api } from '$lib/api/client'
import type { ID } from '$lib/api/types'
import { readStored, writeStored } from '$lib/inbox/storage'

const STORED = 'parley.push'

/**
 * Whether this device is told when the application is closed. The wish is this browser's and outlives a sign-out; the
 * subscription at the server belongs to the session and is renewed with each.
 */
export class DevicePush {
  on = $state(false)
  busy = $state(false)
  permission = $state<NotificationPermission | 'unsupported'>(
    supported() ? Notification.permission : 'unsupported',
  )
  #id: ID | null = null

  /** After signing in: whoever wished to be told here is told again. */
  async resume(): Promise<void> {
    if (!readStored<boolean>(STORED) || this.permission !== 'granted') return
    try {
      await this.#subscribe()
    } catch {
      // Without a push service the application tells by itself while it is open.
    }
  }

  /** Asks the browser, which asks its user; answers whether this device is told from now on. */
  async enable(): Promise<boolean> {
    if (this.permission === 'unsupported') return false
    this.busy = true
    try {
      this.permission = await Notification.requestPermission()
      if (this.permission !== 'granted') return false
      await this.#subscribe()
      writeStored(STORED, true)
      return true
    } finally {
      this.busy = false
    }
  }

  async disable(): Promise<void> {
    this.busy = true
    try {
      writeStored(STORED, undefined)
      const registration = await navigator.serviceWorker.ready
      await (await registration.pushManager.getSubscription())?.unsubscribe()
      if (this.#id) await api.delete('/api/push/subscriptions/{id}', { path: { id: this.#id } })
      this.#id = null
      this.on = false
    } finally {
      this.busy = false
    }
  }

  async #subscribe(): Promise<void> {
    const [registration, { key }] = await Promise.all([
      navigator.serviceWorker.ready,
      api.get('/api/push/key'),
    ])
    const wanted = bytes(key)
    let subscription = await registration.pushManager.getSubscription()
    // Bound to another hub's key (a restored installation): it would never be delivered.
    if (subscription && !equal(subscription.options.applicationServerKey, wanted)) {
      await subscription.unsubscribe()
      subscription = null
    }
    subscription ??= await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: wanted,
    })
    const { endpoint, keys } = subscription.toJSON()
    const { id } = await api.post('/api/push/subscriptions', {
      body: { endpoint: endpoint!, keys: { p256dh: keys!.p256dh!, auth: keys!.auth! } },
    })
    this.#id = id
    this.on = true
  }
}

function supported(): boolean {
  return typeof Notification !== 'undefined' && 'serviceWorker' in navigator && 'PushManager' in globalThis
}

/** base64url, as the server gives its key. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(plain, (c) => c.charCodeAt(0))
}

function equal(a: ArrayBuffer | null, b: Uint8Array): boolean {
  if (!a || a.byteLength !== b.byteLength) return false
  const have = new Uint8Array(a)
  return b.every((value, i) => have[i] === value)
}

export const devicePush = new DevicePush()
