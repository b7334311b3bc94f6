import type { Item, Timeline as TimelinePage } from '$lib/api/types'
import type { TimelineQuery } from '$lib/api/routes'
import { compareIds, compareTimes, lowerBound } from './sorted'

export type FetchTimeline = (query: TimelineQuery) => Promise<TimelinePage>

/** As many items as the window holds before the far end is let go: a person may have 100,000. */
export const WINDOW = 400
export const STEP = 50

/** Oldest first by (at, seq). What the server does not know yet (version 0) stands last. */
export function compareItems(a: Item, b: Item): number {
  const [x, y] = [a.version === 0 ? 1 : 0, b.version === 0 ? 1 : 0]
  if (x !== y) return x - y
  return compareTimes(a.at, b.at) || compareIds(a.seq, b.seq) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** Whether `next` may replace `known`: newer, or the same with more of it (events carry long items cut). */
export function supersedes(next: Item, known: Item): boolean {
  return (
    next.version > known.version || (next.version === known.version && known.truncated && !next.truncated)
  )
}

/**
 * A window on a timeline: a contiguous run of items without holes, merged by id, ordered by (at, seq). It grows by pages
 * at either end and lets go at the other; events enter when they fall inside, and are counted when they are newer than
 * what the window reaches.
 */
export class Timeline {
  items = $state.raw<readonly Item[]>([])
  loaded = $state(false)
  atStart = $state(false)
  atEnd = $state(false)
  loadingOlder = $state(false)
  loadingNewer = $state(false)
  error = $state.raw<unknown>(null)
  /** Items that came while the window does not reach the end. */
  beyond = $state(0)

  readonly #fetch: FetchTimeline
  #list: Item[] = []
  readonly #byId = new Map<string, Item>()
  /** Cursors at the edges of pages: before an item, after an item. The window is only cut at such edges. */
  readonly #before = new Map<string, string>()
  readonly #after = new Map<string, string>()
  readonly #ahead = new Set<string>()
  /** What came while a page was on its way, one list for each request: the page may be older than that. */
  readonly #touched = new Set<Item[]>()
  /** The last replacement asked for, and how often the window was replaced. */
  #run = 0
  #window = 0

  constructor(fetch: FetchTimeline) {
    this.#fetch = fetch
  }

  get(id: string): Item | undefined {
    return this.#byId.get(id)
  }

  get newest(): Item | undefined {
    return this.items.at(-1)
  }

  /** The newest page. */
  async latest(limit = STEP): Promise<boolean> {
    return this.#replace({ limit })
  }

  /** The page around an item, for a jump. */
  async around(id: string): Promise<boolean> {
    return this.#replace({ around: id, limit: STEP })
  }

  /** After a snapshot: what is on screen is fetched again, at the place where it is. */
  async reload(): Promise<boolean> {
    if (!this.loaded) return this.latest()
    if (this.atEnd) return this.latest(Math.min(200, Math.max(STEP, this.#list.length)))
    const middle = this.#list[Math.floor(this.#list.length / 2)]
    return middle ? this.around(middle.id) : this.latest()
  }

  async older(): Promise<void> {
    const first = this.#firstKnown()
    const cursor = first && this.#before.get(first.id)
    if (!cursor || this.loadingOlder || this.atStart) return
    this.loadingOlder = true
    await this.#extend({ before: cursor, limit: STEP }, 'older')
    this.loadingOlder = false
  }

  async newer(): Promise<void> {
    const last = this.#lastKnown()
    const cursor = last && this.#after.get(last.id)
    if (!cursor || this.loadingNewer || this.atEnd) return
    this.loadingNewer = true
    await this.#extend({ after: cursor, limit: STEP }, 'newer')
    this.loadingNewer = false
  }

  /** Items of events, of answers to my own requests, and my own optimistic ones (version 0). */
  apply(items: readonly Item[]): void {
    for (const touched of this.#touched) touched.push(...items)
    if (!this.loaded) return
    let changed = false
    for (const item of items) changed = this.#enter(item) || changed
    if (changed) this.#publish()
  }

  /** Takes an optimistic item back. */
  discard(id: string): void {
    const known = this.#byId.get(id)
    if (known?.version !== 0) return
    this.#remove(known)
    this.#publish()
  }

  async #replace(query: TimelineQuery): Promise<boolean> {
    const run = ++this.#run
    const touched: Item[] = []
    this.#touched.add(touched)
    try {
      const page = await this.#fetch(query)
      if (run !== this.#run) return false
      this.#window++
      const mine = this.#list.filter((item) => item.version === 0)
      this.#list = []
      this.#byId.clear()
      this.#before.clear()
      this.#after.clear()
      this.atStart = page.prev_cursor === null
      this.atEnd = page.next_cursor === null
      this.#reached()
      this.loaded = true
      this.#edges(page)
      for (const item of page.items) this.#put(item)
      for (const item of [...touched, ...mine]) this.#enter(item)
      this.error = null
      this.#publish()
      return true
    } catch (error) {
      if (run === this.#run) this.error = error
      return false
    } finally {
      this.#touched.delete(touched)
    }
  }

  async #extend(query: TimelineQuery, side: 'older' | 'newer'): Promise<void> {
    const window = this.#window
    const touched: Item[] = []
    this.#touched.add(touched)
    try {
      const page = await this.#fetch(query)
      if (window !== this.#window) return
      this.#edges(page)
      for (const item of page.items) this.#put(item)
      if (side === 'older') this.atStart = page.prev_cursor === null
      else this.atEnd = page.next_cursor === null
      for (const item of touched) this.#enter(item)
      this.#trim(side === 'older' ? 'newer' : 'older')
      if (this.atEnd) this.#reached()
      this.error = null
      this.#publish()
    } catch (error) {
      if (window === this.#window) this.error = error
    } finally {
      this.#touched.delete(touched)
    }
  }

  #edges(page: TimelinePage): void {
    const [first, last] = [page.items[0], page.items.at(-1)]
    if (first && page.prev_cursor !== null) this.#before.set(first.id, page.prev_cursor)
    if (last && page.next_cursor !== null) this.#after.set(last.id, page.next_cursor)
  }

  /** An item that may or may not lie inside the window. */
  #enter(item: Item): boolean {
    if (this.#byId.has(item.id) || item.version === 0) return this.#put(item)
    const [first, last] = [this.#firstKnown(), this.#lastKnown()]
    if (last && !this.atEnd && compareItems(item, last) > 0) {
      this.#ahead.add(item.id)
      this.beyond = this.#ahead.size
      return false
    }
    if (first && !this.atStart && compareItems(item, first) < 0) return false
    return this.#put(item)
  }

  #put(item: Item): boolean {
    const known = this.#byId.get(item.id)
    if (known) {
      if (!supersedes(item, known) && !(item.version === 0 && known.version === 0)) return false
      this.#remove(known)
    }
    this.#byId.set(item.id, item)
    this.#list.splice(lowerBound(this.#list, item, compareItems), 0, item)
    return true
  }

  #remove(item: Item): void {
    const at = this.#list.indexOf(item, Math.max(0, lowerBound(this.#list, item, compareItems) - 1))
    if (at >= 0) this.#list.splice(at, 1)
    this.#byId.delete(item.id)
  }

  #trim(side: 'older' | 'newer'): void {
    if (this.#list.length <= WINDOW) return
    const spare = this.#list.length - WINDOW
    if (side === 'older') {
      const cut = this.#list.findLastIndex((item, i) => i <= spare && this.#before.has(item.id))
      if (cut <= 0) return
      for (const item of this.#list.splice(0, cut)) this.#forget(item)
      this.atStart = false
      return
    }
    const cut = this.#list.findIndex((item, i) => i >= WINDOW - 1 && this.#after.has(item.id))
    if (cut < 0 || cut === this.#list.length - 1) return
    for (const item of this.#list.splice(cut + 1)) {
      if (item.version === 0) this.#list.push(item)
      else this.#forget(item)
    }
    this.atEnd = false
  }

  #forget(item: Item): void {
    this.#byId.delete(item.id)
    this.#before.delete(item.id)
    this.#after.delete(item.id)
  }

  #firstKnown(): Item | undefined {
    return this.#list.find((item) => item.version > 0)
  }

  #lastKnown(): Item | undefined {
    return this.#list.findLast((item) => item.version > 0)
  }

  #reached(): void {
    this.#ahead.clear()
    this.beyond = 0
  }

  #publish(): void {
    this.items = this.#list.slice()
  }
}
