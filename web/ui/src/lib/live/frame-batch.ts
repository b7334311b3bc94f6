/**
 * Collects what came and hands it over once per animation frame: a burst of a hundred events costs one layout. A hidden
 * page gets no animation frames, so there a timer does it.
 */
export class FrameBatch<T> {
  #queue: T[] = []
  #scheduled = false
  readonly #apply: (batch: T[]) => void
  readonly #schedule: (run: () => void) => void

  constructor(apply: (batch: T[]) => void, schedule: (run: () => void) => void = nextFrame) {
    this.#apply = apply
    this.#schedule = schedule
  }

  push(value: T): void {
    this.#queue.push(value)
    if (this.#scheduled) return
    this.#scheduled = true
    this.#schedule(() => this.flush())
  }

  flush(): void {
    this.#scheduled = false
    if (this.#queue.length === 0) return
    const batch = this.#queue
    this.#queue = []
    this.#apply(batch)
  }
}

function nextFrame(run: () => void): void {
  if (typeof document === 'undefined' || document.hidden) {
    setTimeout(run, 16)
    return
  }
  // Whichever comes first: a page that becomes hidden in between would never see its frame.
  let done = false
  const once = () => {
    if (done) return
    done = true
    run()
  }
  requestAnimationFrame(once)
  setTimeout(once, 120)
}
