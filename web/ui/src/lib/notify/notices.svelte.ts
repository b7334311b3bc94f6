import { getContext, setContext } from 'svelte'
import type { Client } from '$lib/api/client'
import { asApiError, type ApiError } from '$lib/api/errors'
import type { ID, Notice, NoticeSettings } from '$lib/api/types'
import { i18n } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import { router } from '$lib/router.svelte'
import { chime } from './chime'
import { devicePush } from './push.svelte'
import { noticeHref, noticeWords } from './words'

const PAGE = 30
/** So many or more: the server counts no further. */
export const MANY = 100

/** The bell: what concerned me while I looked elsewhere. Made once when somebody is signed in. */
export class Notices {
  list = $state.raw<readonly Notice[]>([])
  unread = $state(0)
  loaded = $state(false)
  loading = $state(false)
  complete = $state(false)
  error = $state.raw<ApiError | null>(null)
  settings = $state.raw<NoticeSettings | null>(null)

  readonly #live: Live
  readonly #api: Client
  #cursor: string | null = null

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  start(): () => void {
    const offs = [
      this.#live.on('notification.updated', (n) => this.#came(n)),
      this.#live.on('notification.read', (news) => this.#marked(news)),
      this.#live.onResync(() => this.#refresh()),
    ]
    void this.#live.subscribed().then(() => this.#refresh())
    this.#api.get('/api/me/notifications').then(
      (settings) => (this.settings ??= settings),
      () => {}, // the defaults of the server still decide what comes
    )
    // A notification of the system was clicked while the application was open.
    const said = (e: MessageEvent) => {
      const m = e.data as { type?: string; url?: string } | null
      if (m?.type === 'go' && m.url?.startsWith('/')) router.go(m.url)
    }
    navigator.serviceWorker?.addEventListener('message', said)
    return () => {
      for (const off of offs) off()
      navigator.serviceWorker?.removeEventListener('message', said)
    }
  }

  /** The first page, when the bell is opened. */
  async load(): Promise<void> {
    if (this.loading) return
    this.loading = true
    try {
      const page = await this.#api.get('/api/notifications', { query: { limit: PAGE } })
      this.list = page.items
      this.#cursor = page.next_cursor
      this.complete = page.next_cursor === null
      this.loaded = true
      this.error = null
    } catch (error) {
      this.error = asApiError(error)
    } finally {
      this.loading = false
    }
  }

  async more(): Promise<void> {
    if (this.loading || this.#cursor === null) return
    this.loading = true
    try {
      const page = await this.#api.get('/api/notifications', { query: { limit: PAGE, cursor: this.#cursor } })
      const have = new Set(this.list.map((n) => n.id))
      this.list = [...this.list, ...page.items.filter((n) => !have.has(n.id))]
      this.#cursor = page.next_cursor
      this.complete = page.next_cursor === null
    } catch (error) {
      this.error = asApiError(error)
    } finally {
      this.loading = false
    }
  }

  readAll(): Promise<void> {
    return this.#read({ all: true })
  }

  readOne(id: ID): Promise<void> {
    return this.#read({ ids: [id] })
  }

  /** I have it before my eyes. */
  async seen(conversation: ID): Promise<void> {
    if (this.unread > 0) await this.#read({ conversation_id: conversation })
  }

  async #read(body: { ids?: ID[]; conversation_id?: ID; all?: boolean }): Promise<void> {
    try {
      await this.#api.post('/api/notifications/read', { body })
    } catch {
      // It stays unread; the next opening marks it.
    }
  }

  #refresh(): void {
    this.#api.get('/api/notifications/unread').then(
      ({ unread }) => (this.unread = unread),
      () => {}, // the next event tells
    )
    if (this.loaded) void this.load()
  }

  #came(n: Notice): void {
    const known = this.list.find((old) => old.id === n.id)
    if (known && known.version >= n.version) return
    if (n.times === 1 && this.unread < MANY) this.unread++
    if (this.loaded) this.list = [n, ...this.list.filter((old) => old.id !== n.id)]
    if (document.visibilityState === 'visible' && document.hasFocus()) return
    if (this.settings?.sound !== false) chime()
    // Where the device is told by push, the service worker shows it.
    if (
      this.settings &&
      this.settings[n.kind] === 'push' &&
      devicePush.permission === 'granted' &&
      !devicePush.on
    )
      show(n)
  }

  #marked(news: { ids: ID[]; conversation_id: ID | null; all: boolean }): void {
    const now = new Date().toISOString()
    const ids = new Set(news.ids)
    const hit = (n: Notice) => news.all || n.conversation_id === news.conversation_id || ids.has(n.id)
    this.list = this.list.map((n) => (n.read_at === null && hit(n) ? { ...n, read_at: now } : n))
    if (news.all) this.unread = 0
    else if (this.unread < MANY) this.unread = Math.max(0, this.unread - ids.size)
    else this.#refresh()
  }
}

function show(n: Notice): void {
  try {
    const shown = new Notification(n.title, {
      body: [noticeWords(n), n.text].filter(Boolean).join('\n'),
      tag: `conversation-${n.conversation_id}-${n.kind}`,
      icon: '/icon-192.png',
      lang: i18n.locale,
    })
    shown.onclick = () => {
      window.focus()
      router.go(noticeHref(n))
      shown.close()
    }
  } catch {
    // Some browsers show notifications by the service worker only.
  }
}

const KEY = Symbol('notices')

export function setNotices(notices: Notices): Notices {
  return setContext(KEY, notices)
}

export function getNotices(): Notices {
  return getContext<Notices>(KEY)
}
