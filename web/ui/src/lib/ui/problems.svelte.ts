import { untrack } from 'svelte'

/**
 * What is wrong right now, for the thin bar on top. Whoever knows of a problem sets it under its own id and clears it
 * when it is over; the gravest one is shown, with the button that mends it.
 */
export interface Issue {
  id: string
  severity: 'warn' | 'bad'
  /** A function when its words change with time ("last synced 12 s ago"). */
  text: string | (() => string)
  action?: { label: string; href?: string; run?: () => void }
  /** Larger is shown first within one severity. */
  weight?: number
}

export class Problems {
  #issues = $state.raw<ReadonlyMap<string, Issue>>(new Map())

  set(issue: Issue): void {
    this.#change((all) => all.set(issue.id, issue))
  }

  clear(id: string): void {
    if (untrack(() => this.#issues.has(id))) this.#change((all) => all.delete(id))
  }

  /** Replaces all issues whose id begins with prefix. */
  replace(prefix: string, issues: Issue[]): void {
    this.#change((all) => {
      for (const id of all.keys()) if (id.startsWith(prefix)) all.delete(id)
      for (const i of issues) all.set(i.id, i)
    })
  }

  #change(how: (all: Map<string, Issue>) => void): void {
    untrack(() => {
      const all = new Map(this.#issues)
      how(all)
      this.#issues = all
    })
  }

  get all(): Issue[] {
    const rank = (i: Issue) => (i.severity === 'bad' ? 1000 : 0) + (i.weight ?? 0)
    return [...this.#issues.values()].sort((a, b) => rank(b) - rank(a))
  }
}

export const problems = new Problems()
