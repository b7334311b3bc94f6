import type { Client } from '$lib/api/client'
import type { Conversation, ID, Item } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import type { Timeline } from '$lib/live/timeline.svelte'
import type { Scope } from '$lib/live/timelines.svelte'
import { parseRich, plain } from './rich-text'
import type { Sends } from './sends.svelte'
import { readStored, writeStored } from './storage'
import { firstUnreadOf, layout } from './thread-layout'

const SCOPE = 'parley.thread.scope'
/** Enough to show all that is unread, within what one answer may hold. */
const FIRST = 40
const FIRST_MAX = 200

/** The conversation on screen: its row, its timeline (of the person, or of it alone), where unread began, and find. */
export class Thread {
  readonly id: ID
  missing = $state(false)
  error = $state.raw<unknown>(null)
  person = $state(readStored<string>(SCOPE) !== 'conversation')
  firstUnread = $state<string | null>(null)
  /** The item to bring into view and light up. */
  target = $state<{ id: string; at: number } | null>(null)

  find = $state(false)
  words = $state('')
  match = $state(0)

  readonly #live: Live
  readonly #api: Client
  readonly #sends: Sends
  #reading = new Map<ID, number>()

  /** The item to open at, instead of where unread begins; until it is there, nothing is placed. */
  #goal: string | undefined
  seeking = $state(false)

  constructor(live: Live, api: Client, sends: Sends, id: ID, goal?: string) {
    this.#goal = goal
    this.seeking = goal !== undefined
    this.#live = live
    this.#api = api
    this.#sends = sends
    this.id = id
  }

  readonly row: Conversation | undefined = $derived.by(() => this.#live.conversations.get(this.id))
  readonly contact: ID | undefined = $derived(this.row?.contact.id)
  readonly scope: Scope | null = $derived.by(() => {
    if (!this.contact) return null
    return this.person ? { kind: 'contact', id: this.contact } : { kind: 'conversation', id: this.id }
  })
  readonly timeline: Timeline | null = $derived.by(() =>
    this.scope ? this.#live.timelines.get(this.scope) : null,
  )
  readonly rows = $derived(this.timeline ? layout(this.timeline.items, this.firstUnread) : [])
  readonly matches: readonly string[] = $derived.by(() => {
    const words = this.words.trim().toLocaleLowerCase()
    if (!this.find || words.length < 2 || !this.timeline) return []
    return this.timeline.items.filter((item) => searchable(item).includes(words)).map((item) => item.id)
  })

  async open(): Promise<void> {
    this.error = null
    if (this.row) return
    try {
      await this.#live.conversation(this.id)
    } catch (error) {
      const status = (error as { status?: number }).status
      if (status === 404 || status === 403) this.missing = true
      else this.error = error
    }
  }

  /** Fetches the timeline of the present scope: its newest part, with all that is unread. */
  async load(timeline: Timeline): Promise<void> {
    const row = this.row
    if (!row) return
    this.#live.shown = timeline
    this.#sends.person = row.contact.id
    const goal = this.#goal
    if (goal && !timeline.get(goal) && !(await timeline.around(goal))) this.#goal = undefined
    this.seeking = false
    if (this.#goal) return
    if (!timeline.loaded || !timeline.atEnd) await timeline.latest(Math.min(FIRST_MAX, FIRST + row.unread))
  }

  /** The timeline is there: says where unread begins, before it is read. */
  begin(timeline: Timeline): void {
    timeline.apply(this.#sends.pending(this.id))
    this.firstUnread = firstUnreadOf(timeline.items, (id) => this.#readNo(id))
  }

  /** Asked once, when the timeline is placed: the item to bring into view. */
  takeGoal(timeline: Timeline): string | undefined {
    const goal = this.#goal
    this.#goal = undefined
    return goal && timeline.get(goal) ? goal : undefined
  }

  setScope(person: boolean): void {
    this.person = person
    writeStored(SCOPE, person ? 'person' : 'conversation')
  }

  /** Everything on screen was seen: moves my marker of each conversation that has something newer than it. */
  read(): void {
    const newest = new Map<ID, Item>()
    for (const item of this.timeline?.items ?? []) {
      if (item.direction === 'in' && item.in_no > (newest.get(item.conversation_id)?.in_no ?? 0)) {
        newest.set(item.conversation_id, item)
      }
    }
    for (const [id, item] of newest) {
      const done = Math.max(this.#readNo(id), this.#reading.get(id) ?? 0)
      if (item.in_no <= done) continue
      this.#reading.set(id, item.in_no)
      this.#live.conversations.read(id, item.in_no)
      this.#api
        .post('/api/conversations/{id}/read', { path: { id }, body: { message_id: item.id } })
        .catch(() => this.#reading.delete(id)) // asked again with the next message or the next look
    }
  }

  /** The newest item of a conversation that the agent has before the eyes. */
  seen(conversation: ID): string | undefined {
    return this.timeline?.items.findLast((item) => item.version > 0 && item.conversation_id === conversation)
      ?.id
  }

  /** Brings an item into view, fetching the part of the timeline where it is. */
  async jump(id: string): Promise<boolean> {
    const timeline = this.timeline
    if (!timeline) return false
    if (!timeline.get(id) && !(await timeline.around(id))) return false
    if (!timeline.get(id)) return false
    this.target = { id, at: Date.now() }
    return true
  }

  step(by: 1 | -1): void {
    const found = this.matches
    if (found.length === 0) return
    this.match = (this.match + by + found.length) % found.length
    this.target = { id: found[this.match]!, at: Date.now() }
  }

  startFind(words: string): void {
    this.words = words
    this.match = Math.max(0, this.matches.length - 1)
    const id = this.matches[this.match]
    if (id) this.target = { id, at: Date.now() }
  }

  #readNo(id: ID): number {
    return this.#live.conversations.get(id)?.read_in_no ?? Number.MAX_SAFE_INTEGER
  }
}

function searchable(item: Item): string {
  const text = item.text || (item.html ? plain(parseRich(item.html)) : '')
  const files = item.attachments.map((a) => a.name).join(' ')
  return `${text} ${files} ${item.author.name}`.toLocaleLowerCase()
}
