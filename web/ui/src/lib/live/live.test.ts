import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '$lib/api/client'
import type { Conversation, Item } from '$lib/api/types'
import { Live } from './live.svelte'
import type { SocketLike } from './live-socket'
import { conversation, item } from './testkit'
import { viewQuery } from './views'

class Server {
  rows: Conversation[] = []
  items: Item[] = []
  asked: string[] = []
  socket: SocketLike | null = null

  client = newClient({
    baseUrl: 'http://hub.test',
    fetch: async (request) => {
      const { pathname } = new URL(request.url)
      this.asked.push(pathname)
      const body = pathname.endsWith('/timeline')
        ? { items: this.items, prev_cursor: null, next_cursor: null }
        : pathname === '/api/settings'
          ? { undo_seconds: 5 }
          : pathname === '/api/counts'
            ? {}
            : { items: pathname === '/api/conversations' ? this.rows : [], next_cursor: null }
      return new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } })
    },
  })

  say(frame: object): void {
    this.socket?.onmessage?.({ data: JSON.stringify(frame) })
  }
  ready(type = 'ready'): void {
    this.socket?.onopen?.(undefined as never)
    this.say({ type, cursor: '1.1.1', counts: {}, presence: {} })
  }
  event(kind: string, data: object): void {
    this.say({ type: 'event', cursor: '1.1.2', kind, at: '', actor: {}, conversation_id: null, data })
  }
}

function setup() {
  const server = new Server()
  const live = new Live({
    me: '1',
    api: server.client,
    url: 'ws://hub.test/api/live',
    socket: {
      open: () =>
        (server.socket = {
          onopen: null,
          onmessage: null,
          onclose: null,
          onerror: null,
          send() {},
          close() {},
        }),
    },
  })
  live.start()
  const list = live.view(viewQuery('all', '1'))
  return { server, live, list }
}
const settle = () => vi.advanceTimersByTimeAsync(1_000)
const lists = (server: Server) => server.asked.filter((path) => path === '/api/conversations').length

describe('Live', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('fetches lists after the socket is ready, once', async () => {
    const { server, live, list } = setup()
    void list.refresh()
    await vi.advanceTimersByTimeAsync(100)
    expect(lists(server)).toBe(0)
    server.rows = [conversation({ id: '7' })]
    server.ready()
    await settle()
    expect(list.ids).toEqual(['7'])
    expect(lists(server)).toBe(1)
    live.stop()
  })

  it('does not wait for a socket that dawdles, and looks again when it comes', async () => {
    const { server, live, list } = setup()
    void list.refresh()
    await settle()
    expect(list.loaded).toBe(true)
    expect(list.ids).toEqual([])
    // Committed after the list was read and before the socket was ready: no event tells of it.
    server.rows = [conversation({ id: '7' })]
    server.ready()
    await settle()
    expect(list.ids).toEqual(['7'])
    live.stop()
  })

  it('fetches everything on the screen again after a snapshot', async () => {
    const { server, live, list } = setup()
    server.ready()
    void list.refresh()
    const timeline = live.timelines.get({ kind: 'contact', id: 'c7' })
    live.shown = timeline
    void timeline.latest()
    await settle()
    server.rows = [conversation({ id: '7' })]
    server.items = [item({ id: 'm', conversation_id: '7' })]
    server.ready('snapshot')
    await settle()
    expect(list.ids).toEqual(['7'])
    expect(timeline.items.map((i) => i.id)).toEqual(['m'])
    live.stop()
  })

  it('brings a message into the timeline of its person, also when it comes before its conversation', async () => {
    const { server, live } = setup()
    server.ready()
    const timeline = live.timelines.get({ kind: 'contact', id: 'c7' })
    void timeline.latest()
    await settle()
    server.event('message.created', item({ id: 'm', conversation_id: '7' }))
    await settle()
    expect(timeline.items).toEqual([])
    server.event('conversation.created', conversation({ id: '7' }))
    await settle()
    expect(timeline.items.map((i) => i.id)).toEqual(['m'])
    live.stop()
  })

  it('counts as unread what came after my own marker, and nobody else’s', async () => {
    const { server, live, list } = setup()
    server.rows = [conversation({ id: '7', in_count: 3, read_in_no: 1, unread: 2 })]
    server.ready()
    void list.refresh()
    await settle()
    expect(live.conversations.get('7')?.unread).toBe(2)
    server.event('conversation.updated', conversation({ id: '7', version: 2, in_count: 4 }))
    server.event('read.updated', { conversation_id: '7', agent_id: '2', in_no: 4 })
    await settle()
    expect(live.conversations.get('7')?.unread).toBe(3)
    server.event('read.updated', { conversation_id: '7', agent_id: '1', in_no: 4 })
    await settle()
    expect(live.conversations.get('7')?.unread).toBe(0)
    live.stop()
  })

  it('forgets who typed when the connection is lost, and when the message is there', async () => {
    const { server, live } = setup()
    server.ready()
    const who = { kind: 'contact', id: 'c7', name: 'Sara' }
    server.say({ type: 'typing', conversation_id: '7', who, on: true })
    await vi.advanceTimersByTimeAsync(200)
    expect(live.people.typing('7')).toHaveLength(1)
    server.event(
      'message.created',
      item({ id: 'm', conversation_id: '7', author: { kind: 'contact', id: 'c7', name: 'Sara' } }),
    )
    await vi.advanceTimersByTimeAsync(200)
    expect(live.people.typing('7')).toHaveLength(0)
    live.stop()
  })
})
