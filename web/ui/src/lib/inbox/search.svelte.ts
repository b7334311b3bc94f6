import type { Client } from '$lib/api/client'
import { ApiError } from '$lib/api/errors'
import type { Found, FoundKind } from '$lib/api/types'

const TYPING_MS = 180
/** So many of each kind at first. */
const FIRST = 8
const MORE = 30

/** Days mean those of the person who asks. */
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone.replace('Etc/Unknown', 'UTC')

/** One search box: people, messages and files. What was found stays until the next answer is there. */
export class Search {
  words = $state('')
  found = $state.raw<Found | null>(null)
  error = $state.raw<unknown>(null)
  loading = $state(false)
  /** The kind of which more is being fetched. */
  extending = $state<FoundKind | null>(null)
  /** What found answers. */
  asked = $state('')

  readonly #api: Client
  #timer: ReturnType<typeof setTimeout> | undefined
  #abort: AbortController | undefined

  constructor(api: Client) {
    this.#api = api
  }

  get active(): boolean {
    return this.words.trim() !== ''
  }

  get empty(): boolean {
    const f = this.found
    return f !== null && f.people.items.length + f.messages.items.length + f.files.items.length === 0
  }

  type(words: string): void {
    this.words = words
    this.stop()
    if (!this.active) {
      this.found = null
      this.error = null
      this.asked = ''
      return
    }
    this.loading = true
    this.#timer = setTimeout(() => void this.load(), TYPING_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#abort?.abort()
    this.loading = false
    this.extending = null
  }

  async load(): Promise<void> {
    this.stop()
    this.loading = true
    const abort = (this.#abort = new AbortController())
    const q = this.words.trim()
    try {
      const found = await this.#api.get('/api/search', {
        query: { q, limit: FIRST, zone },
        signal: abort.signal,
      })
      if (abort.signal.aborted) return
      this.found = found
      this.asked = q
      this.error = null
    } catch (error) {
      if (!abort.signal.aborted) this.error = error
    } finally {
      if (!abort.signal.aborted) this.loading = false
    }
  }

  /** The next page of one kind, or the search going on where its time was up. */
  async more(kind: FoundKind): Promise<void> {
    const before = this.found
    const cursor = before?.[kind].next_cursor
    if (!before || !cursor || this.extending) return
    this.extending = kind
    const abort = (this.#abort = new AbortController())
    try {
      const next = await this.#api.get('/api/search', {
        query: { q: this.asked, kinds: kind, limit: MORE, cursor, zone },
        signal: abort.signal,
      })
      if (abort.signal.aborted) return
      const list = { ...next[kind], items: [...before[kind].items, ...next[kind].items] }
      this.found = { ...before, [kind]: list }
    } catch (error) {
      if (!abort.signal.aborted) this.error = error
    } finally {
      if (!abort.signal.aborted) this.extending = null
    }
  }
}

/** The server gave up: the question must be narrower. */
export function tookTooLong(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'search_slow'
}
