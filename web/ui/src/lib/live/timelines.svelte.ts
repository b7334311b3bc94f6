import type { ID, Item } from '$lib/api/types'
import type { ConversationStore } from './conversation-store.svelte'
import { Timeline, type FetchTimeline } from './timeline.svelte'

export type Scope = { kind: 'contact'; id: ID } | { kind: 'conversation'; id: ID }

const KEPT = 12
const ORPHANS = 300

function keyOf(scope: Scope): string {
  return `${scope.kind}:${scope.id}`
}

/**
 * The timelines that were opened lately, and the way events find into them: an item names its conversation; a person's
 * timeline takes it when that conversation is known to be the person's. An item that comes before its conversation is
 * kept until the conversation says whose it is.
 */
export class Timelines {
  readonly #open = new Map<string, { scope: Scope; timeline: Timeline }>()
  readonly #contactOf = new Map<ID, ID>()
  #orphans: Item[] = []
  readonly #fetch: (scope: Scope) => FetchTimeline

  constructor(conversations: ConversationStore, fetch: (scope: Scope) => FetchTimeline) {
    this.#fetch = fetch
    conversations.subscribe((id, row) => {
      if (row) this.belongs(id, row.contact.id)
    })
  }

  get(scope: Scope): Timeline {
    const key = keyOf(scope)
    const known = this.#open.get(key)
    if (known) {
      this.#open.delete(key)
      this.#open.set(key, known)
      return known.timeline
    }
    const timeline = new Timeline(this.#fetch(scope))
    this.#open.set(key, { scope, timeline })
    for (const old of this.#open.keys()) {
      if (this.#open.size <= KEPT) break
      this.#open.delete(old)
    }
    return timeline
  }

  contactOf(conversation: ID): ID | undefined {
    return this.#contactOf.get(conversation)
  }

  /** A conversation is this person's. After a merge it may be somebody else's than before. */
  belongs(conversation: ID, contact: ID): void {
    if (this.#contactOf.get(conversation) === contact) return
    this.#contactOf.set(conversation, contact)
    const mine = this.#orphans.filter((item) => item.conversation_id === conversation)
    if (mine.length === 0) return
    this.#orphans = this.#orphans.filter((item) => item.conversation_id !== conversation)
    this.apply(mine)
  }

  apply(items: readonly Item[]): void {
    for (const item of items) {
      if (this.#contactOf.has(item.conversation_id)) continue
      this.#orphans.push(item)
      if (this.#orphans.length > ORPHANS) this.#orphans.shift()
    }
    for (const { scope, timeline } of this.#open.values()) {
      const own = items.filter((item) =>
        scope.kind === 'conversation'
          ? item.conversation_id === scope.id
          : this.#contactOf.get(item.conversation_id) === scope.id,
      )
      if (own.length > 0) timeline.apply(own)
    }
  }

  discard(id: string): void {
    for (const { timeline } of this.#open.values()) timeline.discard(id)
  }

  find(id: string): Item | undefined {
    for (const { timeline } of this.#open.values()) {
      const item = timeline.get(id)
      if (item) return item
    }
    return undefined
  }

  /** After a snapshot: the one on screen is fetched again, the others are forgotten and fetched when opened. */
  refresh(shown: Timeline | null): void {
    for (const [key, entry] of this.#open) {
      if (entry.timeline === shown) void entry.timeline.reload()
      else this.#open.delete(key)
    }
  }
}
