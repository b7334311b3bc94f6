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
    this.#issues = new Map(this.#issues).set(issue.id, issue)
  }

  clear(id: string): void {
    if (!this.#issues.has(id)) return
    const rest = new Map(this.#issues)
    rest.delete(id)
    this.#issues = rest
  }

  /** Replaces all issues whose id begins with prefix. */
  replace(prefix: string, issues: Issue[]): void {
    const rest = new Map([...this.#issues].filter(([id]) => !id.startsWith(prefix)))
    for (const i of issues) rest.set(i.id, i)
    this.#issues = rest
  }

  get all(): Issue[] {
    const rank = (i: Issue) => (i.severity === 'bad' ? 1000 : 0) + (i.weight ?? 0)
    return [...this.#issues.values()].sort((a, b) => rank(b) - rank(a))
  }
}

export const problems = new Problems()
