import { describe, expect, it } from 'vitest'
import type { Conversation, Item } from '$lib/api/types'
import { ConversationStore } from './conversation-store.svelte'
import { ListView, type ConversationPage } from './list-view.svelte'
import { compareTimes } from './sorted'
import { chance, conversation, item, shuffled } from './testkit'
import { compareItems, Timeline, type FetchTimeline } from './timeline.svelte'
import { accepts } from './views'

const ME = 'a1'
const time = (n: number) => new Date(Date.UTC(2026, 4, 3) + n * 1000).toISOString()

/** A server: rows by id, a log of every version, keyset pages. */
class World {
  rows = new Map<string, Conversation>()
  marks = new Map<string, number>()
  log: Conversation[] = []
  #clock = 0

  change(id: string, change: Partial<Conversation>): Conversation {
    const before = this.rows.get(id)
    const row = conversation({ ...(before ?? { id }), ...change, id, version: (before?.version ?? 0) + 1 })
    this.rows.set(id, row)
    this.log.push(row)
    return row
  }

  tick(): string {
    return time(++this.#clock)
  }

  list(filter: (c: Conversation) => boolean): Conversation[] {
    return [...this.rows.values()]
      .filter(filter)
      .sort((a, b) => compareTimes(b.last_at, a.last_at) || Number(b.id) - Number(a.id))
      .map((row) => this.own(row))
  }

  own(row: Conversation): Conversation {
    const read = this.marks.get(row.id) ?? 0
    return { ...row, read_in_no: read, unread: row.in_count - read }
  }

  page(filter: (c: Conversation) => boolean, query: { limit?: number; cursor?: string }): ConversationPage {
    const all = this.list(filter)
    const [at, id] = query.cursor?.split('|') ?? []
    const rest = at
      ? all.filter((c) => c.last_at < at || (c.last_at === at && Number(c.id) < Number(id)))
      : all
    const items = rest.slice(0, query.limit)
    const last = items.at(-1)
    return { items, next_cursor: last && rest.length > items.length ? `${last.last_at}|${last.id}` : null }
  }
}

function mutate(world: World, random: () => number): void {
  const id = String(1 + Math.floor(random() * 40))
  const known = world.rows.get(id)
  const kind = random()
  if (!known || kind < 0.4) {
    world.change(id, {
      last_at: world.tick(),
      in_count: (known?.in_count ?? 0) + 1,
      last_text: `m${random()}`,
    })
  } else if (kind < 0.7) world.change(id, { assignee_id: random() < 0.6 ? ME : null })
  else if (kind < 0.85) world.change(id, { status: random() < 0.5 ? 'closed' : 'open' })
  else world.marks.set(id, Math.max(world.marks.get(id) ?? 0, Math.floor(random() * (known.in_count + 1))))
}

describe('lists converge', () => {
  for (let seed = 1; seed <= 60; seed++) {
    it(`whatever the order of events and answers (seed ${seed})`, async () => {
      const random = chance(seed)
      const world = new World()
      for (let i = 0; i < 60; i++) mutate(world, random)
      const filter = accepts('mine', ME)
      const store = new ConversationStore()
      const unknown = new Set<string>()
      store.onUnknownMark = (id) => unknown.add(id)
      let release: (() => void)[] = []
      const view = new ListView(
        store,
        { key: 'mine', params: { view: 'mine' }, accepts: filter },
        (query) => {
          // The answer is what the server had when it read, and comes later.
          const page = world.page(filter, { ...query, limit: 7 })
          return new Promise((done) => release.push(() => done(page)))
        },
      )
      const answer = async () => {
        const waiting = release
        release = []
        for (const go of waiting) go()
        await Promise.resolve()
        await Promise.resolve()
      }

      const loads: Promise<void>[] = [view.refresh()]
      let sent = world.log.length
      let pending: Conversation[] = []
      for (let step = 0; step < 120; step++) {
        const what = random()
        if (what < 0.55) mutate(world, random)
        else if (what < 0.75) {
          pending.push(...world.log.slice(sent))
          sent = world.log.length
          // Reordered and doubled.
          for (const row of shuffled([...pending, ...pending.slice(0, 3)], random)) {
            store.event({ ...row, unread: 0, read_in_no: 0 }, row.version === 1)
          }
          pending = pending.slice(-4)
        } else if (what < 0.85) await answer()
        else if (what < 0.93) loads.push(view.more())
        else loads.push(view.refresh())
        if (random() < 0.2) view.hold(!view.held)
      }
      for (const row of world.log.slice(sent))
        store.event({ ...row, unread: 0, read_in_no: 0 }, row.version === 1)
      for (let i = 0; i < 30; i++) await answer()
      view.hold(false)
      for (let i = 0; i < 40 && !view.complete; i++) {
        loads.push(view.more())
        await answer()
        await answer()
      }
      await Promise.all(loads)
      for (const [id, read] of world.marks) store.read(id, read)
      for (const id of unknown) store.merge([world.own(world.rows.get(id)!)], store.mark())

      const want = world.list(filter)
      expect(view.ids).toEqual(want.map((c) => c.id))
      for (const row of want) {
        const got = store.get(row.id)!
        expect([got.version, got.last_text, got.unread]).toEqual([row.version, row.last_text, row.unread])
      }
    })
  }
})

class Thread {
  items = new Map<string, Item>()
  log: Item[] = []
  seq = 0

  say(random: () => number): void {
    const known = [...this.items.values()]
    if (known.length > 0 && random() < 0.35) {
      const old = known[Math.floor(random() * known.length)]!
      this.put({ ...old, version: old.version + 1, text: `${old.text}!`, edited_at: time(this.seq) })
      return
    }
    // History may come late: its time is long ago.
    const at = random() < 0.15 ? time(Math.floor(random() * this.seq)) : time(this.seq)
    this.seq++
    this.put(item({ id: `m${this.seq}`, seq: String(this.seq), at, text: `t${this.seq}` }))
  }

  put(it: Item): void {
    this.items.set(it.id, it)
    this.log.push(it)
  }

  sorted(): Item[] {
    return [...this.items.values()].sort(compareItems)
  }

  fetch: FetchTimeline = async (query) => {
    const all = this.sorted()
    const limit = query.limit ?? 10
    let from: number
    let to: number
    const at = (cursor: string) => all.findIndex((it) => it.id === cursor)
    if (query.before) {
      to = at(query.before)
      from = Math.max(0, to - limit)
    } else if (query.after) {
      from = at(query.after) + 1
      to = Math.min(all.length, from + limit)
    } else if (query.around) {
      from = Math.max(0, at(query.around) - Math.floor(limit / 2))
      to = Math.min(all.length, from + limit)
    } else {
      to = all.length
      from = Math.max(0, to - limit)
    }
    const items = all.slice(from, to)
    return {
      items,
      prev_cursor: from > 0 ? (items[0]?.id ?? null) : null,
      next_cursor: to < all.length ? (items.at(-1)?.id ?? null) : null,
    }
  }
}

describe('timelines converge', () => {
  for (let seed = 1; seed <= 60; seed++) {
    it(`to a run without holes (seed ${seed})`, async () => {
      const random = chance(seed * 7919)
      const thread = new Thread()
      for (let i = 0; i < 80; i++) thread.say(random)
      let gate: (() => void)[] = []
      const timeline = new Timeline(async (query) => {
        const page = await thread.fetch({ ...query, limit: 9 })
        await new Promise<void>((done) => gate.push(done))
        return page
      })
      const answer = async () => {
        for (let i = 0; i < 4; i++) await Promise.resolve()
        const waiting = gate
        gate = []
        for (const go of waiting) go()
        for (let i = 0; i < 6; i++) await Promise.resolve()
      }
      const work: Promise<unknown>[] = [timeline.latest()]
      let sent = thread.log.length
      let old: Item[] = []
      for (let step = 0; step < 120; step++) {
        const what = random()
        if (what < 0.5) thread.say(random)
        else if (what < 0.7) {
          const fresh = thread.log.slice(sent)
          sent = thread.log.length
          timeline.apply(shuffled([...fresh, ...old, ...old.slice(0, 2)], random))
          old = fresh.slice(-5)
        } else if (what < 0.8) await answer()
        else if (what < 0.88) work.push(timeline.older())
        else if (what < 0.94) work.push(timeline.newer())
        else if (what < 0.97) work.push(timeline.reload())
        else work.push(timeline.around(`m${1 + Math.floor(random() * thread.seq)}`))
      }
      timeline.apply(thread.log.slice(sent))
      for (let i = 0; i < 10; i++) await answer()
      for (let i = 0; i < 200 && !(timeline.atStart && timeline.atEnd); i++) {
        work.push(timeline.older(), timeline.newer())
        await answer()
      }
      await answer()
      const want = thread.sorted()
      const got = [...timeline.items]
      expect(got.map((it) => `${it.id}@${it.version}`)).toEqual(want.map((it) => `${it.id}@${it.version}`))
      expect(timeline.beyond).toBe(0)
    })
  }
})
