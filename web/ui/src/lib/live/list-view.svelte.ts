import type { Conversation, ID, List } from '$lib/api/types'
import type { ConversationQuery } from '$lib/api/routes'
import type { ConversationStore } from './conversation-store.svelte'
import { compareIds, compareTimes, lowerBound } from './sorted'

export type ConversationPage = List<Conversation>

export interface ListQuery {
  key: string
  params: ConversationQuery
  /** Whether a row belongs here; null = only the server can tell (search), so nothing is inserted live. */
  accepts: ((row: Conversation) => boolean) | null
}

export type FetchPage = (query: ConversationQuery) => Promise<ConversationPage>

interface Key {
  at: string
  id: ID
}

/** Newest first; the id decides between equal times, as on the server. */
function compareKeys(a: Key, b: Key): number {
  return compareTimes(b.at, a.at) || compareIds(b.id, a.id)
}

export const PAGE = 50

/**
 * One list of conversations: the ids in order, loaded by keyset pages from the newest down and kept true by events.
 * Rows live in the ConversationStore; this knows membership and order only.
 *
 * While `held` (the pointer is over the list) rows change in place but nothing moves, so that a click hits what was
 * aimed at; `waiting` counts what will move when the pointer leaves.
 */
export class ListView {
  readonly query: ListQuery
  /** What is on screen, in order. */
  ids = $state.raw<readonly ID[]>([])
  loaded = $state(false)
  complete = $state(false)
  loading = $state(false)
  error = $state.raw<unknown>(null)
  waiting = $state(0)

  readonly #store: ConversationStore
  readonly #fetch: FetchPage
  #order: Key[] = []
  readonly #keys = new Map<ID, Key>()
  #bound: Key | null = null
  #cursor: string | null = null
  #touched: Set<ID> | null = null
  #held = false
  #run = 0
  readonly #off: () => void

  constructor(store: ConversationStore, query: ListQuery, fetch: FetchPage) {
    this.#store = store
    this.query = query
    this.#fetch = fetch
    this.#off = store.subscribe((id, row) => this.#changed(id, row))
  }

  dispose(): void {
    this.#off()
    this.#run++
  }

  get held(): boolean {
    return this.#held
  }

  hold(on: boolean): void {
    this.#held = on
    if (!on) this.#show()
  }

  /** Shows the true order now, although the pointer is still there. */
  settle(): void {
    this.#show()
  }

  /** The first page; again after a snapshot. What is on screen stays until the answer is there. */
  async refresh(): Promise<void> {
    const limit = Math.min(200, Math.max(PAGE, this.#order.length))
    await this.#load({ ...this.query.params, limit }, true)
  }

  async more(): Promise<void> {
    if (this.loading || this.complete || !this.loaded || this.#cursor === null) return
    await this.#load({ ...this.query.params, limit: PAGE * 2, cursor: this.#cursor }, false)
  }

  async #load(query: ConversationQuery, fresh: boolean): Promise<void> {
    const run = ++this.#run
    const since = this.#store.mark()
    this.#touched = new Set()
    this.loading = true
    try {
      const page = await this.#fetch(query)
      if (run !== this.#run) return
      const touched = this.#touched
      this.#touched = null
      this.#store.merge(page.items, since)
      this.#take(page, touched, fresh)
      this.error = null
      this.loaded = true
    } catch (error) {
      if (run === this.#run) this.error = error
    } finally {
      if (run === this.#run) {
        this.loading = false
        this.#touched = null
      }
    }
  }

  #take(page: ConversationPage, touched: Set<ID>, fresh: boolean): void {
    if (fresh) {
      this.#order = []
      this.#keys.clear()
    }
    this.#cursor = page.next_cursor
    this.complete = page.next_cursor === null
    const last = page.items.at(-1)
    // The page ends here on the server's side, wherever its rows are by now.
    if (last && !this.complete) this.#bound = { at: last.last_at, id: last.id }
    else if (this.complete) this.#bound = null
    for (const item of page.items) this.#place(item.id, this.#store.get(item.id), true)
    for (const id of touched) this.#place(id, this.#store.get(id), false)
    this.#show(!fresh)
  }

  #changed(id: ID, row: Conversation | undefined): void {
    this.#touched?.add(id)
    if (!this.loaded) return
    if (this.#place(id, row, false)) this.#show()
  }

  /** Puts a row where it belongs now, or takes it out; answers whether the order changed. */
  #place(id: ID, row: Conversation | undefined, listed: boolean): boolean {
    const old = this.#keys.get(id)
    const accepts = this.query.accepts
    const member = row !== undefined && (accepts ? accepts(row) : listed || old !== undefined)
    const key = member ? { at: row.last_at, id } : null
    if (key && old && old.at === key.at) return false
    if (old) {
      this.#order.splice(lowerBound(this.#order, old, compareKeys), 1)
      this.#keys.delete(id)
    }
    if (!key) return old !== undefined
    if (this.#bound && compareKeys(key, this.#bound) > 0) return old !== undefined
    this.#order.splice(lowerBound(this.#order, key, compareKeys), 0, key)
    this.#keys.set(id, key)
    return true
  }

  #show(appended = false): void {
    if (this.#held && this.loaded && !appended) {
      this.waiting = this.#moves()
      return
    }
    this.waiting = 0
    this.ids = this.#order.map((key) => key.id)
  }

  #moves(): number {
    let moves = 0
    const shown = new Set(this.ids)
    for (const key of this.#order) if (!shown.has(key.id)) moves++
    if (moves > 0) return moves
    return this.#order.length === this.ids.length && this.#order.every((key, i) => key.id === this.ids[i])
      ? 0
      : 1
  }
}
