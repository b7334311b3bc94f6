import { SvelteMap } from 'svelte/reactivity'
import type { ID } from '$lib/api/types'

interface Versioned {
  id: ID
  version: number
}

/** Rows of one noun by id; an older version never overwrites a newer one. */
export class VersionedMap<T extends Versioned> {
  readonly #rows = new SvelteMap<ID, T>()
  readonly #deleted = new Set<ID>()

  get(id: ID | null | undefined): T | undefined {
    return id === null || id === undefined ? undefined : this.#rows.get(id)
  }

  has(id: ID): boolean {
    return this.#rows.has(id)
  }

  get list(): T[] {
    return [...this.#rows.values()]
  }

  values(): IterableIterator<T> {
    return this.#rows.values()
  }

  get size(): number {
    return this.#rows.size
  }

  put(row: T): void {
    if (this.#deleted.has(row.id)) return
    const known = this.#rows.get(row.id)
    if (known && known.version > row.version) return
    this.#rows.set(row.id, row)
  }

  /** The whole list as the server has it: what is not in it is gone. */
  replace(rows: readonly T[]): void {
    const present = new Set(rows.map((row) => row.id))
    for (const id of this.#rows.keys()) if (!present.has(id)) this.#rows.delete(id)
    for (const row of rows) this.put(row)
  }

  /** Takes it away from this screen, while elsewhere it goes on: a newer version may come back. */
  hide(id: ID): void {
    this.#rows.delete(id)
  }

  remove(id: ID): void {
    this.#deleted.add(id)
    this.#rows.delete(id)
  }
}
