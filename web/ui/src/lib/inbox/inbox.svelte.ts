import { getContext, setContext } from 'svelte'
import { SvelteSet } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import type { ID, Item } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import type { ListView } from '$lib/live/list-view.svelte'
import type { Live } from '$lib/live/live.svelte'
import { viewQuery, type ViewKey } from '$lib/live/views'
import { router } from '$lib/router.svelte'
import { Actions } from './actions'
import { Bulks } from './bulks.svelte'
import { CannedAnswers } from './canned.svelte'
import { Composer } from './composer.svelte'
import { Drafts } from './drafts.svelte'
import { Search } from './search.svelte'
import { Sends } from './sends.svelte'
import { Thread } from './thread.svelte'

/** The state of the inbox: which list, which conversation, what is selected, what is being written. */
export class Inbox {
  readonly live: Live
  readonly api: Client
  readonly actions: Actions
  readonly drafts: Drafts
  readonly canned: CannedAnswers
  readonly bulks: Bulks
  readonly sends: Sends
  readonly find: Search
  readonly selected = new SvelteSet<ID>()

  view = $state<ViewKey>('mine')
  list = $state.raw<ListView | null>(null)
  thread = $state.raw<Thread | null>(null)
  composer = $state.raw<Composer | null>(null)
  /** The message that the address asks for. */
  message = $state<string>()
  /** The person's pane, where it is not beside the thread. */
  side = $state(false)
  /** Set by the list: moves the focus from row to row. */
  moveFocus: (by: 1 | -1) => void = () => {}
  /** Set by the composer: puts the caret there. */
  focusComposer: () => void = () => {}

  #stops: (() => void)[] = []

  constructor(live: Live, api: Client) {
    this.live = live
    this.api = api
    this.actions = new Actions(live, api)
    this.drafts = new Drafts(live.me, api)
    this.drafts.onChange = (conversation) => {
      if (this.composer?.conversation === conversation) this.composer.adopt()
    }
    this.canned = new CannedAnswers(live, api)
    this.bulks = new Bulks(live, api)
    this.sends = new Sends(live, api)
    this.find = new Search(api)
    this.sends.onUnseen = (sending, unseen) => {
      const composer =
        this.composer?.conversation === sending.conversation
          ? this.composer
          : new Composer(live, this.drafts, this.sends, sending.conversation)
      composer.ask(sending, unseen)
    }
  }

  start(): () => void {
    this.sends.resume()
    this.#stops.push(
      this.drafts.follow(this.live),
      this.canned.follow(),
      this.bulks.follow(),
      // Only the server knows which notes name me: its news is the occasion to look.
      this.live.on('notification.updated', (n) => {
        if (n.kind === 'mention' && this.view === 'mentions') void this.list?.refresh()
      }),
      this.live.on('conversation.gone', ({ id }) => {
        this.selected.delete(id)
        if (this.thread?.id === id) this.thread.missing = true
      }),
    )
    return () => {
      for (const stop of this.#stops.splice(0)) stop()
      this.find.stop()
      this.leave()
      if (this.list) this.live.dispose(this.list)
      this.list = null
    }
  }

  /** The address says which list and which conversation, and perhaps the message to go to. */
  show(view: ViewKey, id: ID | undefined, message?: string): void {
    if (!this.list || view !== this.view) {
      this.find.type('')
      this.view = view
      this.selected.clear()
      this.#load()
    }
    const asked = message !== this.message
    this.message = message
    if (id === this.thread?.id) {
      if (message && asked) void this.thread?.jump(message)
      return
    }
    this.leave()
    if (id === undefined) return
    this.thread = new Thread(this.live, this.api, this.sends, id, message)
    this.composer = new Composer(this.live, this.drafts, this.sends, id)
    this.live.watch(id)
    void this.thread.open()
  }

  leave(): void {
    this.composer?.leave()
    if (this.thread) this.live.watch(null)
    this.live.shown = null
    this.thread = null
    this.composer = null
  }

  /** The conversation after this one in the list, or before it when it is the last. */
  neighbour(id: ID, by: 1 | -1 = 1): ID | undefined {
    const ids = this.list?.ids ?? []
    const at = ids.indexOf(id)
    return at < 0 ? ids[0] : (ids[at + by] ?? ids[at - by])
  }

  toggle(id: ID, on = !this.selected.has(id)): void {
    if (on) this.selected.add(id)
    else this.selected.delete(id)
  }

  /** Selects from the last selected row to this one. */
  extend(id: ID): void {
    const ids = this.list?.ids ?? []
    const last = [...this.selected].at(-1)
    const [a, b] = [last === undefined ? -1 : ids.indexOf(last), ids.indexOf(id)]
    if (a < 0 || b < 0) {
      this.toggle(id, true)
      return
    }
    for (const between of ids.slice(Math.min(a, b), Math.max(a, b) + 1)) this.selected.add(between)
  }

  /** Closes the open conversation and shows the next one: the next thing to do is always before the eyes. */
  closeAndGo(): void {
    const id = this.thread?.id
    if (!id) return
    const next = this.view === 'closed' || this.find.active ? undefined : this.neighbour(id)
    void this.actions.close(id)
    this.leaveFor(next === id ? undefined : next)
  }

  /** To the next conversation, or back to the list where only one pane fits. */
  leaveFor(next: ID | undefined): void {
    const wide = matchMedia('(min-width: 720px)').matches
    router.go({ name: 'inbox', view: this.view, ...(wide && next ? { id: next } : {}) })
  }

  /** Puts the caret into the box, for an answer or for a note. */
  write(note: boolean): void {
    this.composer?.setNote(note)
    this.focusComposer()
  }

  /** The message that was sent last and can still be taken back. */
  lastUndo(): Item | undefined {
    return this.thread?.timeline?.items.findLast((item) => this.sends.undoUntil(item.id) !== undefined)
  }

  undoLast(): void {
    const item = this.lastUndo()
    if (item) void this.undo(item)
  }

  /** Takes a message back that has not left: from our own server, or before it got there. Its words return. */
  async undo(item: Item): Promise<void> {
    const local = this.sends.withdraw(item.id)
    if (local) {
      this.#home(item)?.takeBack(local)
      return
    }
    try {
      const answer = await this.sends.cancel(item)
      const body = { id: item.id, text: answer.text || item.text, html: answer.html || item.html }
      this.#home(item)?.takeBack({ body, local: { ...item, attachments: item.attachments } })
    } catch (error) {
      this.actions.fail(error, t('inbox.failed.undo'))
    }
  }

  /** Where a message's words belong: the box of its conversation, open or not. */
  #home(item: Item): Composer | null {
    if (this.composer?.conversation === item.conversation_id) return this.composer
    if (this.thread && this.thread.contact === this.live.timelines.contactOf(item.conversation_id))
      return this.composer
    return new Composer(this.live, this.drafts, this.sends, item.conversation_id)
  }

  /** How many conversations the view has, where that is known. */
  get viewCount(): number | undefined {
    const counts = this.live.counts
    const [kind, id] = this.view.split(':')
    if (kind === 'team') return counts?.teams[id!]
    if (kind === 'saved') return counts?.views?.[id!]
    return counts?.[this.view as 'mine' | 'unassigned' | 'all' | 'snoozed']
  }

  /** The view that is shown was saved anew. */
  reload(): void {
    if (this.list) this.#load()
  }

  #load(): void {
    const saved = this.view.startsWith('saved:')
      ? this.live.directory.views.get(this.view.slice('saved:'.length))
      : undefined
    const query = viewQuery(this.view, this.live.me, saved)
    if (this.list?.query.key === query.key) return
    if (this.list) this.live.dispose(this.list)
    this.list = this.live.view(query)
    void this.list.refresh()
  }
}

const KEY = Symbol('inbox')

export function setInbox(inbox: Inbox): Inbox {
  return setContext(KEY, inbox)
}

export function getInbox(): Inbox {
  return getContext<Inbox>(KEY)
}
