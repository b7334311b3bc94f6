import type { Client } from '$lib/api/client'
import type { Canned, ID } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'

/** How long several changes by colleagues are waited for before the list is read again. */
const AGAIN_MS = 300

/** The canned answers that I may use; the list is short, so it is held whole and read again when somebody changes one. */
export class CannedAnswers {
  list = $state.raw<readonly Canned[]>([])
  loaded = $state(false)
  failed = $state(false)

  readonly #live: Live
  readonly #api: Client
  #wanted = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  follow(): () => void {
    const again = () => {
      if (!this.#wanted) return
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.#read(), AGAIN_MS)
    }
    const offs = [
      this.#live.on('canned.updated', again),
      this.#live.on('canned.deleted', again),
      this.#live.onResync(again),
    ]
    return () => {
      for (const off of offs) off()
      clearTimeout(this.#timer)
    }
  }

  /** The first time somebody asks for one. */
  want(): void {
    if (this.#wanted && !this.failed) return
    this.#wanted = true
    void this.#read()
  }

  /** Counts the use, and brings the answer's files as uploads of mine. */
  async use(id: ID) {
    const { items } = await this.#api.post('/api/canned/{id}/use', { path: { id } })
    this.list = this.list.map((c) => (c.id === id ? { ...c, used: c.used + 1 } : c))
    return items
  }

  async #read(): Promise<void> {
    try {
      this.list = (await this.#api.get('/api/canned')).items
      this.loaded = true
      this.failed = false
    } catch {
      this.failed = true
    }
  }
}
