import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '$lib/api/client'
import type { DraftBody } from '$lib/api/routes'
import type { SavedDraft } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import { Drafts, emptyDraft, joined } from './drafts.svelte'

/** The server's rule, in few words: a save from an older version is refused with what stands there. */
class Server {
  drafts = new Map<string, SavedDraft>()
  down = false
  saves = 0
  devices: ((d: SavedDraft) => void)[] = []

  put(id: string, b: DraftBody): [number, unknown] {
    this.saves++
    const was = this.drafts.get(id)
    if (was?.text === b.text) return [200, was]
    if (was && was.version !== b.version)
      return [409, { status: 409, title: 'Conflict', reason: 'draft', draft: was }]
    if (!was && b.text === '') return [200, row(id, 0, '')]
    const now = row(id, b.version + 1, b.text)
    this.drafts.set(id, now)
    for (const tell of this.devices) tell(now)
    return [200, now]
  }

  /** What the send does in its own transaction. */
  sent(id: string): void {
    const now = row(id, this.drafts.get(id)!.version + 1, '')
    this.drafts.set(id, now)
    for (const tell of this.devices) tell(now)
  }

  client() {
    return newClient({
      baseUrl: 'http://hub.test',
      fetch: async (request) => {
        if (this.down) throw new TypeError('no network')
        const id = /conversations\/(\d+)\/draft/.exec(request.url)?.[1]
        const [status, body] = id
          ? request.method === 'PUT'
            ? this.put(id, (await request.json()) as DraftBody)
            : [200, this.drafts.get(id)]
          : [200, { items: [...this.drafts.values()].filter((d) => d.text), next_cursor: null }]
        return new Response(JSON.stringify(body), {
          status,
          headers: { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' },
        })
      },
    })
  }

  device(): Drafts {
    const drafts = new Drafts('1', this.client())
    const live = {
      on: (_: string, handler: (d: SavedDraft) => void) => {
        this.devices.push(handler)
        return () => {}
      },
      onResync: () => () => {},
      subscribed: () => Promise.resolve(),
    }
    stops.push(drafts.follow(live as unknown as Live))
    return drafts
  }
}

function row(id: string, version: number, text: string): SavedDraft {
  return {
    agent_id: '1',
    conversation_id: id,
    version,
    text,
    html: '',
    note: false,
    channel_id: null,
    reply_to: null,
    attachments: [],
    mentions: [],
    letter: null,
    truncated: false,
    updated_at: '2026-05-03T10:00:00Z',
  }
}

const typed = (text: string) => ({ ...emptyDraft(), text })
const settle = (ms = 2_000) => vi.advanceTimersByTimeAsync(ms)
const stops: (() => void)[] = []

beforeEach(() => {
  vi.useFakeTimers()
  localStorage.clear()
})
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
  vi.useRealTimers()
})

describe('drafts', () => {
  it('are saved once for many key presses, and are on the other device at once', async () => {
    const server = new Server()
    const [desk, phone] = [server.device(), server.device()]
    const changed = vi.fn()
    phone.onChange = changed
    await settle()
    for (const text of ['H', 'He', 'Hel', 'Hello']) desk.set('7', typed(text))
    expect(desk.saved('7')).toBe(false)
    await settle()
    expect(server.saves).toBe(1)
    expect(desk.saved('7')).toBe(true)
    expect(phone.get('7')?.text).toBe('Hello')
    expect(changed).toHaveBeenCalledWith('7')
  })

  it('of two devices that typed at once are joined: nothing is lost', async () => {
    const server = new Server()
    const [desk, phone] = [server.device(), server.device()]
    await settle()
    desk.set('7', typed('from the desk'))
    phone.set('7', typed('from the phone'))
    await settle(10_000)
    const text = server.drafts.get('7')!.text
    expect(text).toContain('from the desk')
    expect(text).toContain('from the phone')
    expect(desk.get('7')?.text).toBe(text)
    expect(phone.get('7')?.text).toBe(text)
  })

  it('wait in the browser while there is no network, also over a reload', async () => {
    const server = new Server()
    server.down = true
    const before = server.device()
    before.set('7', typed('not to be lost'))
    await settle(500)
    before.flush()
    const after = server.device() // the page was loaded again
    expect(after.get('7')?.text).toBe('not to be lost')
    expect(after.saved('7')).toBe(false)
    server.down = false
    after.retry()
    await settle()
    expect(server.drafts.get('7')?.text).toBe('not to be lost')
    expect(after.saved('7')).toBe(true)
  })

  it('are gone everywhere when they were sent', async () => {
    const server = new Server()
    const [desk, phone] = [server.device(), server.device()]
    await settle()
    desk.set('7', typed('hello'))
    await settle()
    expect(phone.get('7')).toBeDefined()
    expect(desk.version('7')).toBe(1)
    desk.clear('7') // the composer hands its words over
    server.sent('7')
    await settle()
    expect(phone.get('7')).toBeUndefined()
    expect(desk.get('7')).toBeUndefined()
    expect(desk.saved('7')).toBe(true)
    expect(localStorage.length).toBe(0)
    desk.set('7', typed('the next one'))
    await settle(10_000)
    expect(phone.get('7')?.text).toBe('the next one')
  })

  it('that ended on another device while this one was away do not come back', async () => {
    const server = new Server()
    const desk = server.device()
    await settle()
    desk.set('7', typed('hello'))
    await settle()
    server.devices = []
    server.sent('7')
    const again = server.device()
    expect(again.get('7')?.text).toBe('hello') // until the server is heard
    await settle()
    expect(again.get('7')).toBeUndefined()
  })

  it('that say the same, one more than the other, are not doubled', () => {
    expect(joined(typed('Hello'), typed('Hello Sara')).text).toBe('Hello Sara')
    expect(joined(typed('Hello Sara'), typed('Hello')).text).toBe('Hello Sara')
    expect(joined({ ...typed('a<b'), html: '' }, { ...typed('c'), html: '<b>c</b>' }).html).toBe(
      'a&lt;b\n\n<b>c</b>',
    )
  })
})
