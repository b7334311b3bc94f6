import type { ID } from '$lib/api/types'
import { Resource } from '$lib/ui'

/** A short list that is held whole; what was changed here is laid in without asking again. */
export class Rows<T extends { id: ID }> extends Resource<T[]> {
  get items(): T[] {
    return this.data ?? []
  }

  get(id: ID): T | undefined {
    return this.items.find((row) => row.id === id)
  }

  /** An older version than the one that is here changes nothing. */
  put(row: T): void {
    const known = this.get(row.id)
    if (known && version(row) < version(known)) return
    this.data = known ? this.items.map((r) => (r.id === row.id ? row : r)) : [...this.items, row]
  }

  remove(id: ID): void {
    this.data = this.items.filter((r) => r.id !== id)
  }
}

function version(row: object): number {
  return (row as { version?: number }).version ?? 0
}
