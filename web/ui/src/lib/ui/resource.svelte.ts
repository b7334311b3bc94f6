import { asApiError, type ApiError } from '$lib/api/errors'

/**
 * Something that is loaded: `data` stays on the screen while it is loaded again, and when that fails. The answer of an
 * older request never overwrites the answer of a newer one.
 */
export class Resource<T> {
  data = $state.raw<T | undefined>(undefined)
  error = $state.raw<ApiError | null>(null)
  loading = $state(false)
  #run = 0
  #abort: AbortController | null = null

  constructor(private readonly fetch: (signal: AbortSignal) => Promise<T>) {}

  /** First load: nothing to show yet, and nothing went wrong. */
  get blank(): boolean {
    return this.data === undefined && this.error === null
  }

  load = async (): Promise<void> => {
    const run = ++this.#run
    this.#abort?.abort()
    const abort = (this.#abort = new AbortController())
    this.loading = true
    try {
      const data = await this.fetch(abort.signal)
      if (run !== this.#run) return
      this.data = data
      this.error = null
    } catch (err) {
      if (run !== this.#run || abort.signal.aborted) return
      this.error = asApiError(err)
    } finally {
      if (run === this.#run) this.loading = false
    }
  }

  stop(): void {
    this.#run++
    this.#abort?.abort()
    this.loading = false
  }
}
