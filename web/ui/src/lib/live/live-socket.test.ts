import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerFrame } from '$lib/api/types'
import { LiveSocket, OPEN_MS, PONG_MS, QUIET_MS, type SocketLike, type SocketState } from './live-socket'

class FakeSocket implements SocketLike {
  onopen: ((e: never) => void) | null = null
  onmessage: ((e: { data: unknown }) => void) | null = null
  onclose: ((e: { code: number }) => void) | null = null
  onerror: ((e: never) => void) | null = null
  sent: { type: string; since?: string }[] = []
  closed = false
  send(data: string) {
    this.sent.push(JSON.parse(data))
  }
  close() {
    this.closed = true
  }
  open() {
    this.onopen?.(undefined as never)
  }
  say(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
  ready(cursor = '1.1.1') {
    this.open()
    this.say({ type: 'ready', cursor, counts: {}, presence: {} })
  }
  event(cursor: string) {
    this.say({
      type: 'event',
      cursor,
      kind: 'conversation.gone',
      at: '',
      actor: {},
      conversation_id: null,
      data: {},
    })
  }
  end(code: number) {
    this.onclose?.({ code })
  }
}

function setup() {
  const sockets: FakeSocket[] = []
  const frames: ServerFrame[] = []
  const states: SocketState[] = []
  const reloads: number[] = []
  const live = new LiveSocket({
    url: 'ws://x/api/live',
    onFrame: (f) => frames.push(f),
    onState: (s) => states.push(s),
    onReload: () => reloads.push(1),
    open: () => {
      const s = new FakeSocket()
      sockets.push(s)
      return s
    },
    random: () => 0.5,
  })
  return { live, sockets, frames, states, reloads, last: () => sockets.at(-1)! }
}

describe('LiveSocket', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('says hello first, then is connected', () => {
    const { live, last, states } = setup()
    live.start()
    last().ready('3.7.9')
    expect(last().sent).toEqual([{ type: 'hello' }])
    expect(states).toEqual(['connecting', 'connected'])
    expect(live.cursor).toBe('3.7.9')
  })

  it('comes back with the cursor of the last event, not of a head it has not reached', () => {
    const { live, last, sockets } = setup()
    live.start()
    last().ready('1.1.1')
    last().event('1.2.5')
    last().end(1006)
    vi.advanceTimersByTime(1_000)
    expect(sockets).toHaveLength(2)
    last().ready('1.9.9')
    expect(last().sent[0]).toEqual({ type: 'hello', since: '1.2.5' })
    expect(live.cursor).toBe('1.2.5')
    last().event('1.3.6')
    expect(live.cursor).toBe('1.3.6')
  })

  it('takes the cursor of a snapshot', () => {
    const { live, last } = setup()
    live.start()
    last().ready('1.1.1')
    last().end(1006)
    vi.advanceTimersByTime(1_000)
    last().open()
    last().say({ type: 'snapshot', cursor: '2.5.5', counts: {}, presence: {} })
    expect(live.cursor).toBe('2.5.5')
    expect(live.state).toBe('connected')
  })

  it('knows a dead peer in less than ten seconds', () => {
    const { live, last, states, sockets } = setup()
    live.start()
    last().ready()
    vi.advanceTimersByTime(QUIET_MS)
    expect(last().sent.at(-1)).toEqual({ type: 'ping' })
    vi.advanceTimersByTime(PONG_MS)
    expect(states.at(-1)).toBe('reconnecting')
    expect(sockets[0]!.closed).toBe(true)
    expect(QUIET_MS + PONG_MS).toBeLessThan(10_000)
  })

  it('stays while the peer answers pings', () => {
    const { live, last, states } = setup()
    live.start()
    last().ready()
    for (let i = 0; i < 20; i++) {
      vi.advanceTimersByTime(QUIET_MS)
      last().say({ type: 'pong' })
    }
    expect(states.at(-1)).toBe('connected')
  })

  it('gives up a connection that never says anything', () => {
    const { live, sockets } = setup()
    live.start()
    vi.advanceTimersByTime(OPEN_MS + 1_000)
    expect(sockets.length).toBeGreaterThan(1)
    expect(sockets[0]!.closed).toBe(true)
  })

  it('never stops trying, and never waits longer than ten seconds', () => {
    const { live, sockets, last } = setup()
    live.start()
    for (let i = 0; i < 200; i++) {
      const before = sockets.length
      last().end(1006)
      let waited = 0
      for (; sockets.length === before && waited <= 10_000; waited += 50) vi.advanceTimersByTime(50)
      expect(sockets.length).toBe(before + 1)
    }
  })

  it('stops when signed out, asks for a reload when told so, comes back from a slow spell', () => {
    const a = setup()
    a.live.start()
    a.last().ready()
    a.last().end(4002)
    vi.advanceTimersByTime(60_000)
    expect(a.sockets).toHaveLength(1)
    expect(a.states.at(-1)).toBe('signed-out')

    const b = setup()
    b.live.start()
    b.last().ready()
    b.last().end(4003)
    expect(b.reloads).toHaveLength(1)

    const c = setup()
    c.live.start()
    c.last().ready('5.5.5')
    c.last().end(4001)
    vi.advanceTimersByTime(1_000)
    c.last().open()
    expect(c.last().sent[0]).toEqual({ type: 'hello', since: '5.5.5' })
  })

  it('ignores what a forgotten socket still says', () => {
    const { live, sockets, frames } = setup()
    live.start()
    sockets[0]!.ready()
    const stale = sockets[0]!.onmessage!
    live.lost()
    stale({ data: JSON.stringify({ type: 'pong' }) })
    vi.advanceTimersByTime(1_000)
    sockets[1]!.ready()
    const before = frames.length
    stale({ data: JSON.stringify({ type: 'counts' }) })
    expect(frames).toHaveLength(before)
  })

  it('probes at once when the machine wakes up', () => {
    const { live, last, sockets } = setup()
    live.start()
    last().ready()
    live.probe()
    expect(last().sent.at(-1)).toEqual({ type: 'ping' })
    live.lost()
    live.probe()
    expect(sockets).toHaveLength(2)
  })
})
