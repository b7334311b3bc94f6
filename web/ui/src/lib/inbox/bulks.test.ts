import { describe, expect, it } from 'vitest'
import { newClient } from '$lib/api/client'
import type { Bulk } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import { toasts } from '$lib/ui'
import { Bulks } from './bulks.svelte'

const bulk = (change: Partial<Bulk>): Bulk => ({
  id: '1',
  version: 1,
  agent_id: '1',
  change: {},
  undo_of: null,
  state: 'running',
  total: 3,
  done: 0,
  failed: 0,
  can_undo: false,
  created_at: '2026-05-03T10:00:00Z',
  finished_at: null,
  ...change,
})

/** A page whose server answers with `answer`, and tells by `tell`. */
function page(answer: Bulk) {
  let tell: (b: Bulk) => void = () => {}
  const live = {
    on: (_: string, handler: (b: Bulk) => void) => {
      tell = handler
      return () => {}
    },
    onResync: () => () => {},
    subscribed: () => Promise.resolve(),
  }
  const api = newClient({
    baseUrl: 'http://hub.test',
    fetch: async (request) =>
      new Response(JSON.stringify(request.method === 'POST' ? answer : { items: [], next_cursor: null }), {
        headers: { 'Content-Type': 'application/json' },
      }),
  })
  const bulks = new Bulks(live as unknown as Live, api)
  bulks.follow()
  return { bulks, tell: (b: Bulk) => tell(b) }
}

describe('a change of many', () => {
  it('shows how far it is, and ends with the way back', async () => {
    toasts.clear()
    const { bulks, tell } = page(bulk({}))
    await bulks.start({ ids: ['1', '2', '3'] }, { status: 'closed' })
    tell(bulk({ version: 3, done: 2 }))
    tell(bulk({ version: 2, done: 1 })) // late
    expect(bulks.running.map((b) => b.done)).toEqual([2])
    tell(bulk({ version: 4, done: 3, state: 'done', can_undo: true }))
    expect(bulks.running).toEqual([])
    expect(toasts.items.at(-1)?.tone).toBe('good')
    expect(toasts.items.at(-1)?.action).toBeDefined()
  })

  it('that ends before its answer is here is told all the same, once', async () => {
    toasts.clear()
    const { bulks, tell } = page(bulk({}))
    const started = bulks.start({ view: 'all' }, { status: 'closed' })
    tell(bulk({ version: 5, done: 2, failed: 1, state: 'done' }))
    await started
    tell(bulk({ version: 6, done: 2, failed: 1, state: 'done' }))
    expect(toasts.items.length).toBe(1)
    expect(toasts.items[0]?.tone).toBe('bad')
    void toasts.items[0]?.action?.run()
    expect(bulks.shown?.failed).toBe(1)
  })

  it('of another page is shown while it runs, and says nothing at its end', () => {
    toasts.clear()
    const { bulks, tell } = page(bulk({}))
    tell(bulk({ id: '9', version: 2 }))
    expect(bulks.running.length).toBe(1)
    tell(bulk({ id: '9', version: 3, state: 'done' }))
    expect(bulks.running.length).toBe(0)
    expect(toasts.items.length).toBe(0)
  })
})
