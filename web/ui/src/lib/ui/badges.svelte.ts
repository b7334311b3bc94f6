import { untrack } from 'svelte'

/** The numbers on the rail, by room; a room sets its own. 0 shows nothing. */
export type BadgeRoom = 'inbox' | 'contacts' | 'leads' | 'settings'

export class Badges {
  #counts = $state.raw<Partial<Record<BadgeRoom, number>>>({})

  set(room: BadgeRoom, count: number): void {
    untrack(() => {
      if (this.#counts[room] !== count) this.#counts = { ...this.#counts, [room]: count }
    })
  }

  get(room: BadgeRoom): number {
    return this.#counts[room] ?? 0
  }
}

export const badges = new Badges()
