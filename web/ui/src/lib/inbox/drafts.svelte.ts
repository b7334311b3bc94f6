import { SvelteMap, SvelteSet } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import { asApiError, type ApiError } from '$lib/api/errors'
import type { Attachment, ID, Mention, SavedDraft } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import type { Envelope } from './mail'
import { readStored, storedKeys, writeStored } from './storage'

/** What somebody began to write to a conversation. Bound to its id: it can never go to another. */
export interface Draft {
  text: string
  html: string
  note: boolean
  channel_id: ID | null
  reply_to: { id: string; author: string; text: string } | null
  /** Of an e-mail whose recipients or subject were chosen; null = it goes where an answer goes. */
  envelope: Envelope | null
  forward_of: { id: string; author: string; text: string } | null
  attachments: Attachment[]
  mentions: Mention[]
  at: number
}

/** What this browser keeps beside the server: the words, which version they began from, and whether the server has them. */
interface Kept extends Draft {
  version: number
  dirty: boolean
}

interface Sync {
  version: number
  busy: boolean
  /** Came in while a save was on its way. */
  heard: SavedDraft | null
  timer: ReturnType<typeof setTimeout> | undefined
}

const EMPTY: Omit<Draft, 'at'> = {
  text: '',
  html: '',
  note: false,
  channel_id: null,
  reply_to: null,
  envelope: null,
  forward_of: null,
  attachments: [],
  mentions: [],
}
/** Writing on every key press would be felt; a fifth of a second of typing is not lost by anybody. */
const LOCAL_MS = 200
const SAVE_MS = 700
const RETRY_MS = 5_000
/** As many as the server lists: with fewer, one that is not among them is gone. */
const LISTED = 200

export function emptyDraft(): Draft {
  return { ...EMPTY, attachments: [], mentions: [], at: Date.now() }
}

export function isBlank(draft: Pick<Draft, 'text' | 'attachments'> & Partial<Draft>): boolean {
  return draft.text.trim() === '' && draft.attachments.length === 0 && !draft.forward_of
}

/** Two devices typed at once: what both have is kept once, and nothing of either is lost. */
export function joined(theirs: Draft, mine: Draft): Draft {
  if (mine.text.includes(theirs.text)) return { ...mine, attachments: bothFiles(theirs, mine) }
  if (theirs.text.includes(mine.text)) return { ...theirs, attachments: bothFiles(theirs, mine), at: mine.at }
  return {
    ...mine,
    text: `${theirs.text}\n\n${mine.text}`,
    html: theirs.html || mine.html ? `${markup(theirs)}\n\n${markup(mine)}` : '',
    attachments: bothFiles(theirs, mine),
    mentions: [
      ...theirs.mentions,
      ...mine.mentions.filter((m) => !theirs.mentions.some((o) => o.id === m.id && o.kind === m.kind)),
    ],
  }
}

const markup = (draft: Draft) =>
  draft.html || draft.text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function bothFiles(theirs: Draft, mine: Draft): Attachment[] {
  return [
    ...theirs.attachments,
    ...mine.attachments.filter((a) => !theirs.attachments.some((o) => o.id === a.id)),
  ]
}

/**
 * My drafts, one for each conversation. The server keeps them for all my devices; this browser keeps what the server
 * does not have yet, so that a dead network loses nothing. A draft ends when its message was accepted or when it is
 * emptied, never by leaving.
 *
 * Each save names the version that it began from. The server refuses one that began from an older version: then both
 * texts are joined and saved again.
 */
export class Drafts {
  /** Another device changed a draft: whoever shows it takes it over. */
  onChange: (conversation: ID) => void = () => {}

  readonly #prefix: string
  readonly #api: Client
  readonly #map = new SvelteMap<ID, Draft>()
  readonly #dirty = new SvelteSet<ID>()
  readonly #sync = new Map<ID, Sync>()
  readonly #timers = new Map<ID, ReturnType<typeof setTimeout>>()

  constructor(agent: ID, api: Client) {
    this.#prefix = `parley.draft.${agent}.`
    this.#api = api
    for (const key of storedKeys(this.#prefix)) {
      const kept = readStored<Partial<Kept>>(key)
      if (!kept) continue
      const { version = 0, dirty = true, ...draft } = kept
      const conversation = key.slice(this.#prefix.length)
      this.#of(conversation).version = version
      if (dirty) this.#dirty.add(conversation)
      if (!isBlank({ ...EMPTY, ...draft })) this.#map.set(conversation, { ...emptyDraft(), ...draft })
    }
  }

  get(conversation: ID): Draft | undefined {
    return this.#map.get(conversation)
  }

  /** Whether the server has what is here. */
  saved(conversation: ID): boolean {
    return !this.#dirty.has(conversation)
  }

  /** The newest version that is known; 0 = none. It goes with the send, which ends the draft. */
  version(conversation: ID): number {
    return this.#sync.get(conversation)?.version ?? 0
  }

  set(conversation: ID, draft: Draft): void {
    if (isBlank(draft)) {
      this.clear(conversation)
      return
    }
    const known = this.#map.get(conversation)
    if (known && same(known, draft)) return
    this.#map.set(conversation, draft)
    this.#changed(conversation)
  }

  clear(conversation: ID): void {
    if (!this.#map.has(conversation) && this.saved(conversation)) return
    this.#map.delete(conversation)
    this.#changed(conversation)
    this.#write(conversation)
  }

  /** Before the page goes: what is typed stands in this browser, and is on its way. */
  flush(): void {
    for (const conversation of this.#timers.keys()) this.#write(conversation)
    for (const conversation of [...this.#dirty]) void this.#save(conversation)
  }

  /** The connection is back: what could not be saved is saved now. */
  retry(): void {
    for (const conversation of [...this.#dirty]) void this.#save(conversation)
  }

  /** Takes over what the server has. */
  async load(): Promise<void> {
    let items: SavedDraft[]
    try {
      items = (await this.#api.get('/api/drafts')).items
    } catch {
      return // this browser's own serve until the connection is back
    }
    const listed = new Set(items.map((d) => d.conversation_id))
    for (const remote of items) this.#hear(remote)
    if (items.length < LISTED)
      for (const conversation of [...this.#map.keys()])
        if (!listed.has(conversation) && this.saved(conversation)) this.#drop(conversation)
    this.retry()
  }

  /** Follows my other devices and windows until the returned function is called. */
  follow(live: Live): () => void {
    const storage = (e: StorageEvent) => {
      if (!e.key?.startsWith(this.#prefix)) return
      const conversation = e.key.slice(this.#prefix.length)
      const draft = readStored<Kept>(e.key)
      if (!this.saved(conversation)) return
      if (draft && !isBlank(draft)) this.#map.set(conversation, { ...emptyDraft(), ...draft })
      else this.#map.delete(conversation)
    }
    const hide = () => this.flush()
    const offs = [
      live.on('draft.updated', (remote) => this.#hear(remote)),
      live.onResync(() => void this.load()),
    ]
    addEventListener('storage', storage)
    addEventListener('pagehide', hide)
    void live.subscribed().then(() => this.load())
    return () => {
      for (const off of offs) off()
      removeEventListener('storage', storage)
      removeEventListener('pagehide', hide)
      this.flush()
    }
  }

  #of(conversation: ID): Sync {
    let sync = this.#sync.get(conversation)
    if (!sync) {
      sync = { version: 0, busy: false, heard: null, timer: undefined }
      this.#sync.set(conversation, sync)
    }
    return sync
  }

  #changed(conversation: ID): void {
    this.#dirty.add(conversation)
    clearTimeout(this.#timers.get(conversation))
    this.#timers.set(
      conversation,
      setTimeout(() => this.#write(conversation), LOCAL_MS),
    )
    this.#later(conversation, SAVE_MS)
  }

  #later(conversation: ID, ms: number): void {
    const sync = this.#of(conversation)
    clearTimeout(sync.timer)
    sync.timer = setTimeout(() => void this.#save(conversation), ms)
  }

  /** One save at a time; what was typed meanwhile goes with the next one. */
  async #save(conversation: ID): Promise<void> {
    const sync = this.#of(conversation)
    clearTimeout(sync.timer)
    if (sync.busy || this.saved(conversation)) return
    sync.busy = true
    const draft = this.#map.get(conversation)
    try {
      const answer = await this.#api.put('/api/conversations/{id}/draft', {
        path: { id: conversation },
        body: body(sync.version, draft ?? emptyDraft()),
      })
      sync.version = Math.max(sync.version, answer.version)
      if (this.#map.get(conversation) === draft) {
        this.#dirty.delete(conversation)
        this.#write(conversation)
      } else this.#later(conversation, SAVE_MS)
    } catch (thrown) {
      this.#refused(conversation, draft, asApiError(thrown))
    } finally {
      sync.busy = false
      const heard = sync.heard
      sync.heard = null
      if (heard) this.#hear(heard)
    }
  }

  #refused(conversation: ID, draft: Draft | undefined, error: ApiError): void {
    const sync = this.#of(conversation)
    const theirs = error.problem.draft as SavedDraft | undefined
    if (error.status === 409 && theirs) {
      sync.version = theirs.version
      const mine = this.#map.get(conversation)
      if (!isBlank(theirs) && mine) {
        const both = joined(local(theirs), mine)
        this.#map.set(conversation, both)
        this.#write(conversation)
        if (!same(both, mine)) this.onChange(conversation)
      } else if (!isBlank(theirs)) {
        // I sent or emptied what I had; what another device typed since is its own.
        this.#dirty.delete(conversation)
        this.#adopt(conversation, theirs)
        return
      }
      this.#later(conversation, 0)
      return
    }
    if (error.fields['attachments'] !== undefined && draft && draft.attachments.length > 0) {
      // A file that was used elsewhere meanwhile: the words must not be kept back by it.
      const now = this.#map.get(conversation)
      if (now) this.#map.set(conversation, { ...now, attachments: [] })
      this.#later(conversation, 0)
      return
    }
    // Refused for good, it stays in this browser; without an answer it is tried again.
    if (error.offline || error.status >= 500 || error.status === 429) this.#later(conversation, RETRY_MS)
  }

  #hear(remote: SavedDraft): void {
    const conversation = remote.conversation_id
    const sync = this.#of(conversation)
    if (remote.version <= sync.version) return
    if (sync.busy) {
      if (!sync.heard || sync.heard.version < remote.version) sync.heard = remote
      return
    }
    // What is being typed here finds out by its save, and joins.
    if (!this.saved(conversation)) return
    if (remote.truncated) {
      this.#api.get('/api/conversations/{id}/draft', { path: { id: conversation } }).then(
        (whole) => this.#hear({ ...whole, truncated: false }),
        () => {}, // the next load brings it
      )
      return
    }
    sync.version = remote.version
    this.#adopt(conversation, remote)
  }

  #adopt(conversation: ID, remote: SavedDraft): void {
    if (isBlank(remote)) {
      this.#drop(conversation)
      return
    }
    this.#map.set(conversation, local(remote))
    this.#write(conversation)
    this.onChange(conversation)
  }

  #drop(conversation: ID): void {
    if (!this.#map.delete(conversation)) return
    this.#write(conversation)
    this.onChange(conversation)
  }

  #write(conversation: ID): void {
    clearTimeout(this.#timers.get(conversation))
    this.#timers.delete(conversation)
    const draft = this.#map.get(conversation)
    const dirty = !this.saved(conversation)
    const kept: Kept | undefined =
      draft || dirty ? { ...(draft ?? emptyDraft()), version: this.version(conversation), dirty } : undefined
    writeStored(this.#prefix + conversation, kept)
  }
}

function body(version: number, draft: Draft) {
  return {
    version,
    text: draft.text,
    html: draft.html,
    note: draft.note,
    channel_id: draft.channel_id,
    reply_to: draft.reply_to?.id ?? null,
    attachments: draft.attachments.map((a) => a.id),
    mentions: draft.mentions,
    letter:
      draft.envelope || draft.forward_of
        ? { envelope: draft.envelope, forward_of: draft.forward_of }
        : undefined,
  }
}

function local(remote: SavedDraft): Draft {
  const { text, html, note, channel_id, reply_to, attachments, mentions } = remote
  return {
    text,
    html,
    note,
    channel_id,
    reply_to,
    attachments,
    mentions,
    envelope: remote.letter?.envelope ?? null,
    forward_of: remote.letter?.forward_of ?? null,
    at: Date.parse(remote.updated_at) || Date.now(),
  }
}

function same(a: Draft, b: Draft): boolean {
  return JSON.stringify({ ...a, at: 0 }) === JSON.stringify({ ...b, at: 0 })
}
