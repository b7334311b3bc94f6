import type { Client } from '$lib/api/client'
import type { Contact } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'

const TYPING_MS = 180
const PAGE = 50

/** The list of the contacts screen: a search, loaded page by page, with what changes meanwhile put in place. */
export class ContactSearch {
  words = $state('')
  rows = $state.raw<readonly Contact[]>([])
  loaded = $state(false)
  loading = $state(false)
  complete = $state(false)
  error = $state.raw<unknown>(null)

  readonly #live: Live
  readonly #api: Client
  #cursor: string | null = null
  #run = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  start(): () => void {
    void this.load()
    const again = () => {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.load(), 400)
    }
    const offs = [
      this.#live.on('contact.created', () => {
        if (!this.words.trim()) again()
      }),
      this.#live.on('contact.updated', (short) => {
        this.rows = this.rows.map((row) =>
          row.id === short.id && short.version > row.version ? { ...row, ...short } : row,
        )
      }),
      this.#live.on('contact.merged', ({ from }) => {
        this.rows = this.rows.filter((row) => row.id !== from)
      }),
      this.#live.on('contact.unmerged', again),
      this.#live.onResync(again),
    ]
    return () => {
      clearTimeout(this.#timer)
      this.#run++
      for (const off of offs) off()
    }
  }

  type(words: string): void {
    this.words = words
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.load(), TYPING_MS)
  }

  async load(): Promise<void> {
    await this.#fetch(null)
  }

  async more(): Promise<void> {
    if (this.loading || this.complete || this.#cursor === null) return
    await this.#fetch(this.#cursor)
  }

  add(contact: Contact): void {
    this.rows = [contact, ...this.rows.filter((row) => row.id !== contact.id)]
  }

  async #fetch(cursor: string | null): Promise<void> {
    const run = ++this.#run
    this.loading = true
    try {
      await this.#live.subscribed()
      const query = { q: this.words.trim(), limit: PAGE, ...(cursor ? { cursor } : {}) }
      const page = await this.#api.get('/api/contacts', { query })
      if (run !== this.#run) return
      const known = new Set(cursor ? this.rows.map((row) => row.id) : [])
      this.rows = [...(cursor ? this.rows : []), ...page.items.filter((row) => !known.has(row.id))]
      this.#cursor = page.next_cursor
      this.complete = page.next_cursor === null
      this.loaded = true
      this.error = null
    } catch (error) {
      if (run === this.#run) this.error = error
    } finally {
      if (run === this.#run) this.loading = false
    }
  }
}
