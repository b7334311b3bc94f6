import { SvelteMap } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import { asApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import type { Bulk, BulkChange, ID } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import type { ViewKey } from '$lib/live/views'
import { toasts } from '$lib/ui'

/**
 * Changes of many conversations, which the server works on in the background. What runs is shown with its progress, also
 * after a reload; what ended says how, with the way back.
 */
export class Bulks {
  /** Whose failures are shown. */
  shown = $state.raw<Bulk | null>(null)

  readonly #live: Live
  readonly #api: Client
  readonly #all = new SvelteMap<ID, Bulk>()
  /** Started on this page: their end is told here. */
  readonly #mine = new Set<ID>()

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  get running(): Bulk[] {
    return [...this.#all.values()].filter((b) => b.state === 'running')
  }

  follow(): () => void {
    const load = () =>
      this.#api.get('/api/bulk').then(
        ({ items }) => items.forEach((b) => this.#put(b)),
        () => {}, // events tell how it goes on
      )
    const offs = [this.#live.on('bulk.updated', (b) => this.#put(b)), this.#live.onResync(() => void load())]
    void this.#live.subscribed().then(load)
    return () => {
      for (const off of offs) off()
    }
  }

  async start(what: { ids: ID[] } | { view: ViewKey }, change: BulkChange): Promise<boolean> {
    try {
      this.#begin(await this.#api.post('/api/bulk', { body: { ...what, change } }))
      return true
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  async undo(id: ID): Promise<void> {
    try {
      this.#begin(await this.#api.post('/api/bulk/{id}/undo', { path: { id } }))
    } catch (error) {
      this.#fail(error)
    }
  }

  #begin(b: Bulk): void {
    this.#mine.add(b.id)
    const known = this.#all.get(b.id)
    if (known && known.version > b.version)
      this.#ended(known) // it was quicker than its answer
    else this.#put(b)
  }

  #put(b: Bulk): void {
    const known = this.#all.get(b.id)
    if (known && known.version >= b.version) return
    this.#all.set(b.id, b)
    this.#ended(b)
  }

  #ended(b: Bulk): void {
    if (b.state !== 'done' || !this.#mine.delete(b.id)) return
    const words = t(b.undo_of ? 'inbox.bulk.undone' : 'inbox.bulk.done', { count: b.done })
    if (b.failed > 0) {
      toasts.bad(words, {
        key: `bulk:${b.id}`,
        detail: t('inbox.bulk.failed', { count: b.failed }),
        timeout: 0,
        action: { label: t('inbox.bulk.show'), run: () => void (this.shown = b) },
      })
    } else {
      toasts.good(words, {
        key: `bulk:${b.id}`,
        ...(b.can_undo ? { action: { label: t('common.undo'), run: () => this.undo(b.id) } } : {}),
      })
    }
  }

  #fail(error: unknown): void {
    const words = explain(asApiError(error))
    toasts.bad(t('inbox.failed.change'), { detail: [words.title, words.text].filter(Boolean).join('. ') })
  }
}
