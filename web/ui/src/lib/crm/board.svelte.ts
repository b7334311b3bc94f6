import { SvelteMap } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import { asApiError, type ApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import type { LeadFilter } from '$lib/api/routes'
import type { ID, Lead, Pipeline, Stage, StageTotal } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import { say, toasts } from '$lib/ui'

const PAGE = 30
const SETTLE_MS = 250
const DAY_MS = 86_400_000

/** What narrows the board; '' narrows nothing. */
export interface BoardFilter {
  owner: ID
  source: string
  q: string
}

class Column {
  rows = $state.raw<Lead[]>([])
  cursor = $state.raw<string | null>(null)
  loaded = $state(false)
  loading = $state(false)
  error = $state.raw<ApiError | null>(null)
}

/** Whether a lead has been in its stage for longer than the stage allows. */
export function rotten(lead: Lead, stage: Stage | undefined, now: Date): boolean {
  if (!stage || stage.rot_days === 0 || stage.kind === 'won' || stage.kind === 'lost') return false
  return now.getTime() - new Date(lead.stage_at).getTime() > stage.rot_days * DAY_MS
}

/**
 * The leads of one pipeline by stage, each column a page at a time, kept fresh by events. An older version of a lead
 * never overwrites a newer one. Totals are the server's: a column knows only what it has loaded.
 */
export class Board {
  pipeline = $state.raw<Pipeline | undefined>(undefined)
  filter = $state.raw<BoardFilter>({ owner: '', source: '', q: '' })
  readonly columns = new SvelteMap<ID, Column>()
  readonly totals = new SvelteMap<ID, StageTotal>()

  readonly #live: Live
  readonly #api: Client
  #run = 0
  #due: ReturnType<typeof setTimeout> | undefined
  #again = false

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  /** Follows events until the returned function is called. */
  start(): () => void {
    const offs = [
      this.#live.on('lead.created', (lead) => this.#heard(lead)),
      this.#live.on('lead.updated', (lead) => this.#heard(lead)),
      this.#live.onResync(() => this.#settle(true)),
    ]
    return () => {
      this.#run++
      clearTimeout(this.#due)
      for (const off of offs) off()
    }
  }

  get loaded(): boolean {
    return this.columns.size > 0 && [...this.columns.values()].every((column) => column.loaded)
  }

  get error(): ApiError | null {
    return [...this.columns.values()].find((column) => column.error)?.error ?? null
  }

  get narrowed(): boolean {
    return Object.values(this.filter).some((v) => v.trim() !== '')
  }

  /** Everything on the screen, the last changed first: what the table shows. */
  get rows(): Lead[] {
    return [...this.columns.values()].flatMap((column) => column.rows).toSorted(byChange)
  }

  show(pipeline: Pipeline): void {
    if (this.pipeline?.id !== pipeline.id) {
      this.columns.clear()
      this.totals.clear()
    }
    this.pipeline = pipeline
    for (const id of this.columns.keys())
      if (!pipeline.stages.some((stage) => stage.id === id)) this.columns.delete(id)
    void this.load()
  }

  narrow(change: Partial<BoardFilter>): void {
    this.filter = { ...this.filter, ...change }
    this.#settle(true)
  }

  async load(): Promise<void> {
    if (!this.pipeline) return
    const run = ++this.#run
    await this.#live.subscribed()
    if (run !== this.#run) return
    for (const stage of this.pipeline.stages)
      if (!this.columns.has(stage.id)) this.columns.set(stage.id, new Column())
    await Promise.all([
      this.#loadTotals(run),
      ...this.pipeline.stages.map((stage) => this.#loadColumn(stage.id, run)),
    ])
  }

  async more(stage: ID): Promise<void> {
    const column = this.columns.get(stage)
    if (!column || column.loading || column.cursor === null) return
    const run = this.#run
    column.loading = true
    try {
      const page = await this.#api.get('/api/leads', {
        query: { ...this.#query(), stage, limit: PAGE, cursor: column.cursor },
      })
      if (run !== this.#run) return
      column.cursor = page.next_cursor
      column.rows = merged(column.rows, page.items)
    } catch {
      toasts.bad(t('crm.board.more_failed'))
    } finally {
      column.loading = false
    }
  }

  /** Moves a lead at once, and back when the server refuses. */
  async move(lead: Lead, stage: Stage, more: { owner_id?: ID } = {}): Promise<void> {
    if (lead.stage_id === stage.id) return
    const shown: Lead = { ...lead, ...more, stage_id: stage.id, stage_at: new Date().toISOString() }
    this.#place(shown)
    say(t('crm.board.moved', { name: lead.title || lead.contact.name, stage: stage.name }))
    try {
      const body = { version: lead.version, stage_id: stage.id, ...more }
      this.#place(await this.#api.patch('/api/leads/{id}', { path: { id: lead.id }, body }))
      this.#settle(false)
    } catch (error) {
      const now = this.#find(lead.id)
      if (now && now.version <= lead.version) this.#place(lead)
      const words = explain(asApiError(error))
      toasts.bad(words.title, { detail: words.text })
      this.#settle(true)
    }
  }

  /** From the first column into the work, as one's own unless somebody has it. */
  async accept(lead: Lead): Promise<void> {
    const stage = this.pipeline?.stages.find((s) => s.kind === 'open')
    if (stage) await this.move(lead, stage, lead.owner_id ? {} : { owner_id: this.#live.me })
  }

  async decline(lead: Lead): Promise<void> {
    const stage = this.pipeline?.stages.find((s) => s.kind === 'lost')
    if (stage) await this.move(lead, stage)
  }

  #query(): LeadFilter {
    const { owner, source, q } = this.filter
    return { pipeline: this.pipeline!.id, owner, source, q: q.trim() }
  }

  async #loadTotals(run: number): Promise<void> {
    try {
      const { items } = await this.#api.get('/api/lead-totals', { query: this.#query() })
      if (run !== this.#run) return
      this.totals.clear()
      for (const total of items) this.totals.set(total.stage_id, total)
    } catch {
      // the columns tell what is wrong
    }
  }

  async #loadColumn(stage: ID, run: number): Promise<void> {
    const column = this.columns.get(stage)!
    column.loading = true
    try {
      const page = await this.#api.get('/api/leads', { query: { ...this.#query(), stage, limit: PAGE } })
      if (run !== this.#run) return
      column.rows = page.items
      column.cursor = page.next_cursor
      column.error = null
      column.loaded = true
    } catch (error) {
      if (run === this.#run) column.error = asApiError(error)
    } finally {
      if (run === this.#run) column.loading = false
    }
  }

  #find(id: ID): Lead | undefined {
    for (const column of this.columns.values()) {
      const row = column.rows.find((lead) => lead.id === id)
      if (row) return row
    }
    return undefined
  }

  #heard(lead: Lead): void {
    if (lead.pipeline_id !== this.pipeline?.id) return
    const known = this.#find(lead.id)
    // Whether words fit only the server knows.
    if (this.filter.q.trim() === '' || known) this.#place(lead)
    this.#settle(this.filter.q.trim() !== '')
  }

  #fits(lead: Lead): boolean {
    const { owner, source } = this.filter
    if (lead.outcome === 'merged') return false
    if (owner === 'none' ? lead.owner_id !== null : owner !== '' && lead.owner_id !== owner) return false
    return source === '' || lead.source === source
  }

  #place(lead: Lead): void {
    const known = this.#find(lead.id)
    if (known && known.version > lead.version) return
    for (const [id, column] of this.columns) {
      const rest = column.rows.filter((other) => other.id !== lead.id)
      if (id === lead.stage_id && this.#fits(lead)) column.rows = [lead, ...rest].toSorted(byChange)
      else if (rest.length !== column.rows.length) column.rows = rest
    }
  }

  /** Asks the server once the storm of events is over: for the totals, or for everything. */
  #settle(everything: boolean): void {
    this.#again ||= everything
    clearTimeout(this.#due)
    this.#due = setTimeout(() => {
      const all = this.#again
      this.#again = false
      void (all ? this.load() : this.#loadTotals(this.#run))
    }, SETTLE_MS)
  }
}

function byChange(a: Lead, b: Lead): number {
  return b.updated_at.localeCompare(a.updated_at) || Number(b.id) - Number(a.id)
}

function merged(rows: Lead[], more: Lead[]): Lead[] {
  const known = new Set(rows.map((lead) => lead.id))
  return [...rows, ...more.filter((lead) => !known.has(lead.id))]
}
