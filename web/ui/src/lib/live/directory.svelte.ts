import { SvelteMap } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import type { Agent, Channel, ID, List, Pipeline, Tag, Team, View } from '$lib/api/types'
import { VersionedMap } from './versioned-map.svelte'

const PAGE = 200

/** What every screen refers to by id: colleagues, teams, channels, pipelines, tags. Small, so it is held whole. */
export class Directory {
  readonly agents = new VersionedMap<Agent>()
  readonly teams = new VersionedMap<Team>()
  readonly channels = new VersionedMap<Channel>()
  readonly views = new VersionedMap<View>()
  readonly pipelines = new SvelteMap<ID, Pipeline>()
  tags = $state.raw<readonly Tag[]>([])
  undoSeconds = $state(5)
  loaded = $state(false)

  readonly #api: Client

  constructor(api: Client) {
    this.#api = api
  }

  /** Each list by itself: one that this agent may not read must not take the others away. */
  async load(): Promise<void> {
    const api = this.#api
    await Promise.allSettled([
      all((query) => api.get('/api/agents', { query })).then((rows) => this.agents.replace(rows)),
      all((query) => api.get('/api/teams', { query })).then((rows) => this.teams.replace(rows)),
      all((query) => api.get('/api/channels', { query })).then((rows) => this.channels.replace(rows)),
      api.get('/api/views').then(({ items }) => this.views.replace(items)),
      this.loadPipelines(),
      this.loadTags(),
      this.loadSettings(),
    ])
    this.loaded = true
  }

  async loadPipelines(): Promise<void> {
    const { items } = await this.#api.get('/api/pipelines')
    this.pipelines.clear()
    for (const row of items) this.putPipeline(row)
  }

  putPipeline(row: Pipeline): void {
    const known = this.pipelines.get(row.id)
    if (known && known.version > row.version) return
    this.pipelines.set(row.id, { ...row, stages: row.stages.toSorted((a, b) => a.position - b.position) })
  }

  async loadTags(): Promise<void> {
    this.tags = (await this.#api.get('/api/tags')).items
  }

  async loadSettings(): Promise<void> {
    this.undoSeconds = (await this.#api.get('/api/settings')).undo_seconds
  }
}

async function all<T>(fetch: (query: { limit: number; cursor?: string }) => Promise<List<T>>): Promise<T[]> {
  const rows: T[] = []
  let cursor: string | undefined
  do {
    const page: List<T> = await fetch({ limit: PAGE, cursor })
    rows.push(...page.items)
    cursor = page.next_cursor ?? undefined
  } while (cursor)
  return rows
}
