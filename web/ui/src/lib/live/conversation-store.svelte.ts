import { SvelteMap } from 'svelte/reactivity'
import type { Conversation, ID } from '$lib/api/types'

export type ConversationListener = (id: ID, row: Conversation | undefined) => void

/**
 * Every conversation this page knows, by id. Rows come from lists and from events, in any order and more than once; a
 * row with an older version never overwrites a newer one, so the end state does not depend on who came first.
 *
 * Unread is mine alone: events carry 0, so it is computed here from in_count and my read marker, which only grows.
 */
export class ConversationStore {
  readonly #rows = new SvelteMap<ID, Conversation>()
  readonly #marks = new Map<ID, number>()
  readonly #gone = new Map<ID, { version: number; tick: number }>()
  readonly #listeners = new Set<ConversationListener>()
  #tick = 0
  /** Called for a row that came by event while my read marker of it is not known yet. */
  onUnknownMark: (id: ID) => void = () => {}

  get(id: ID): Conversation | undefined {
    return this.#rows.get(id)
  }

  get size(): number {
    return this.#rows.size
  }

  values(): IterableIterator<Conversation> {
    return this.#rows.values()
  }

  subscribe(listener: ConversationListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** To be taken before a request is sent; the answer is merged with it, so that it cannot revive what went meanwhile. */
  mark(): number {
    return this.#tick
  }

  /** Rows of an answer. They carry my read marker. */
  merge(rows: readonly Conversation[], since: number): void {
    for (const row of rows) {
      const gone = this.#gone.get(row.id)
      if (gone && gone.tick > since && row.version <= gone.version + 1) continue
      this.#learn(row.id, row.read_in_no)
      this.#put(row)
    }
  }

  /** A row of an event. */
  event(row: Conversation, created: boolean): void {
    const gone = this.#gone.get(row.id)
    if (gone && row.version <= gone.version) return
    if (!this.#marks.has(row.id)) {
      if (created) this.#marks.set(row.id, 0)
      else this.onUnknownMark(row.id)
    }
    this.#put(row)
  }

  /** My read marker moved, here or in another window. */
  read(id: ID, inNo: number): void {
    this.#learn(id, inNo)
    const row = this.#rows.get(id)
    if (row) this.#put(row)
  }

  /** I may not see it any more. */
  gone(id: ID): void {
    this.#tick++
    this.#gone.set(id, { version: this.#rows.get(id)?.version ?? 0, tick: this.#tick })
    if (!this.#rows.delete(id)) return
    this.#tell(id, undefined)
  }

  /** Changes what is shown before the server agrees; answers how to take it back if nothing newer came. */
  optimistic(id: ID, change: Partial<Conversation>): () => void {
    const before = this.#rows.get(id)
    if (!before) return () => {}
    const after = { ...before, ...change }
    this.#rows.set(id, after)
    this.#tell(id, after)
    return () => {
      if (this.#rows.get(id) !== after) return
      this.#rows.set(id, before)
      this.#tell(id, before)
    }
  }

  #learn(id: ID, inNo: number): void {
    if (inNo > (this.#marks.get(id) ?? -1)) this.#marks.set(id, inNo)
  }

  #put(row: Conversation): void {
    const known = this.#rows.get(row.id)
    if (known && known.version > row.version) row = known
    // A row whose marker is not known yet shows nothing as unread rather than everything.
    const mark = Math.max(this.#marks.get(row.id) ?? row.in_count, 0)
    const unread = Math.max(0, row.in_count - mark)
    if (known && known.version === row.version && known.unread === unread && known.read_in_no === mark) return
    this.#gone.delete(row.id)
    const next = { ...row, read_in_no: mark, unread }
    this.#rows.set(row.id, next)
    this.#tell(row.id, next)
  }

  #tell(id: ID, row: Conversation | undefined): void {
    for (const listener of this.#listeners) listener(id, row)
  }
}
