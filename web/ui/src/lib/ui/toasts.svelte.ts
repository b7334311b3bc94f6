import { untrack } from 'svelte'

/**
 * Short news at the edge of the screen. A toast with an action stays longer; a pointer or the focus on it stops its
 * clock, so that nobody loses an Undo by reading it.
 */
export interface ToastOptions {
  tone?: 'info' | 'good' | 'bad'
  text: string
  detail?: string
  action?: { label: string; run: () => void | Promise<void> }
  /** Milliseconds; 0 stays until closed. */
  timeout?: number
  /** A later toast with the same key takes the place of the earlier. */
  key?: string
  onclose?: () => void
}
export interface Toast extends ToastOptions {
  id: number
}

interface Running {
  timer: ReturnType<typeof setTimeout> | undefined
  left: number
  since: number
}

export class Toasts {
  items = $state.raw<Toast[]>([])
  #next = 1
  #clocks = new Map<number, Running>()

  show(o: ToastOptions): number {
    const id = this.#next++
    untrack(() => {
      const others = o.key ? this.items.filter((t) => t.key !== o.key) : this.items
      // More than four are noise: the oldest goes.
      this.items = [...others, { ...o, id }].slice(-4)
    })
    const ms = o.timeout ?? (o.action ? 9000 : o.tone === 'bad' ? 8000 : 4500)
    if (ms > 0) {
      this.#clocks.set(id, { timer: undefined, left: ms, since: 0 })
      this.resume(id)
    }
    return id
  }

  good(text: string, o: Partial<ToastOptions> = {}): number {
    return this.show({ ...o, tone: 'good', text })
  }
  bad(text: string, o: Partial<ToastOptions> = {}): number {
    return this.show({ ...o, tone: 'bad', text })
  }

  close(id: number): void {
    const toast = this.items.find((t) => t.id === id)
    if (!toast) return
    clearTimeout(this.#clocks.get(id)?.timer)
    this.#clocks.delete(id)
    this.items = this.items.filter((t) => t.id !== id)
    toast.onclose?.()
  }

  pause(id: number): void {
    const c = this.#clocks.get(id)
    if (!c || c.timer === undefined) return
    clearTimeout(c.timer)
    c.timer = undefined
    c.left = Math.max(1500, c.left - (Date.now() - c.since))
  }

  resume(id: number): void {
    const c = this.#clocks.get(id)
    if (!c || c.timer !== undefined) return
    c.since = Date.now()
    c.timer = setTimeout(() => this.close(id), c.left)
  }

  clear(): void {
    for (const t of [...this.items]) this.close(t.id)
  }
}

export const toasts = new Toasts()
