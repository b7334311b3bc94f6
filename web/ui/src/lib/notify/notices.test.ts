import { describe, expect, it, vi } from 'vitest'
import { newClient } from '$lib/api/client'
import type { Notice } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import { Notices } from './notices.svelte'
import { bytes } from './push.svelte'
import { noticeHref } from './words'

const notice = (change: Partial<Notice>): Notice => ({
  id: '1',
  version: 1,
  agent_id: '1',
  kind: 'message',
  conversation_id: '7',
  message_id: null,
  title: 'Sara',
  text: 'hello',
  actor: '',
  times: 1,
  at: '2026-05-03T10:00:00Z',
  read_at: null,
  ...change,
})

function page(items: Notice[], unread: number) {
  const handlers = new Map<string, (data: unknown) => void>()
  const posts: unknown[] = []
  const live = {
    on: (kind: string, handler: (data: unknown) => void) => {
      handlers.set(kind, handler)
      return () => {}
    },
    onResync: () => () => {},
    subscribed: () => Promise.resolve(),
  }
  const api = newClient({
    baseUrl: 'http://hub.test',
    fetch: async (request) => {
      if (request.method === 'POST') {
        posts.push(await request.json())
        return new Response(null, { status: 204 })
      }
      const body = request.url.includes('/unread')
        ? { unread }
        : request.url.includes('/api/me/')
          ? { assigned: 'bell', message: 'bell', mention: 'bell', queue: 'off', sound: false }
          : { items, next_cursor: null }
      return new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } })
    },
  })
  const notices = new Notices(live as unknown as Live, api)
  notices.start()
  return { notices, posts, tell: (kind: string, data: unknown) => handlers.get(kind)?.(data) }
}

describe('the bell', () => {
  it('counts what is new once, however it grows, and forgets what was read anywhere', async () => {
    const { notices, tell } = page([notice({ id: '2', conversation_id: '8' })], 1)
    await vi.waitFor(() => expect(notices.unread).toBe(1))
    await notices.load()
    tell('notification.updated', notice({}))
    expect(notices.unread).toBe(2)
    tell('notification.updated', notice({ version: 2, times: 2, text: 'again' }))
    tell('notification.updated', notice({ version: 1 })) // late
    expect(notices.unread).toBe(2)
    expect(notices.list.map((n) => [n.id, n.text])).toEqual([
      ['1', 'again'],
      ['2', 'hello'],
    ])
    tell('notification.read', { agent_id: '1', ids: ['1'], conversation_id: '7', all: false })
    expect(notices.unread).toBe(1)
    expect(notices.list.map((n) => n.read_at !== null)).toEqual([true, false])
    tell('notification.read', { agent_id: '1', ids: ['2'], conversation_id: null, all: true })
    expect(notices.unread).toBe(0)
  })

  it('asks the server to mark what is seen only when there is something unread', async () => {
    const { notices, posts, tell } = page([], 0)
    await vi.waitFor(() => expect(notices.settings).not.toBeNull())
    await notices.seen('7')
    expect(posts).toEqual([])
    tell('notification.updated', notice({}))
    await notices.seen('7')
    expect(posts).toEqual([{ conversation_id: '7' }])
  })

  it('leads to the list in which a conversation stands', () => {
    expect(noticeHref(notice({}))).toBe('/inbox/mine/7')
    expect(noticeHref(notice({ kind: 'queue' }))).toBe('/inbox/unassigned/7')
    expect(noticeHref(notice({ kind: 'mention' }))).toBe('/inbox/mentions/7')
  })
})

describe('the key of the hub', () => {
  it('is read from base64url', () => {
    expect([...bytes('_-8')]).toEqual([255, 239])
  })
})
