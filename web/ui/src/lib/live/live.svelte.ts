import { getContext, setContext } from 'svelte'
import type { Client } from '$lib/api/client'
import type { TimelineQuery } from '$lib/api/routes'
import type {
  Conversation,
  Counts,
  EventData,
  EventFrame,
  EventKind,
  ID,
  Item,
  ServerFrame,
  Timeline as TimelinePage,
} from '$lib/api/types'
import { ConversationStore } from './conversation-store.svelte'
import { Directory } from './directory.svelte'
import { FrameBatch } from './frame-batch'
import { ListView, type ListQuery } from './list-view.svelte'
import { LiveSocket, type LiveSocketOptions, type SocketState } from './live-socket'
import { People } from './presence.svelte'
import type { Timeline } from './timeline.svelte'
import { Timelines, type Scope } from './timelines.svelte'

export interface LiveOptions {
  me: ID
  api: Client
  url?: string
  socket?: Partial<LiveSocketOptions>
  onSignedOut?: () => void
  onReload?: () => void
}

type Handler<K extends EventKind> = (data: EventData[K]) => void

/** How long an event of a conversation with an unknown read marker waits for others before they are asked for. */
const MARKER_MS = 150
/** How long the first lists wait for the socket. It opens at once or something is wrong with it. */
const OPEN_MS = 400
/** How old "last synced" may be on the screen. */
const CLOCK_MS = 1_000

/**
 * Everything that is live: the socket, and the stores that its events and the lists are merged into. Created once when
 * somebody is signed in, given by context, stopped at sign-out.
 *
 * The socket opens first, lists are fetched after its `ready`: what is committed later comes as an event, what was
 * committed before is in the list, and since every row carries a version, it may be both. Lists do not wait for a socket
 * that dawdles; what they fetched is then fetched again, for events before `ready` were told to nobody.
 */
export class Live {
  readonly me: ID
  readonly conversations = new ConversationStore()
  readonly timelines: Timelines
  readonly directory: Directory
  readonly people = new People()

  state = $state<SocketState>('idle')
  /** Since when the connection is lost; null while it stands. */
  reconnectingSince = $state<number | null>(null)
  lastSynced = $state(Date.now())
  counts = $state.raw<Counts | null>(null)
  /** The timeline on screen: fetched again after a snapshot. */
  shown: Timeline | null = null

  readonly #api: Client
  readonly #socket: LiveSocket
  readonly #batch = new FrameBatch<ServerFrame>((frames) => this.#apply(frames))
  readonly #views = new Set<ListView>()
  readonly #handlers = new Map<EventKind, Set<Handler<EventKind>>>()
  readonly #resync = new Set<() => void>()
  readonly #unmarked = new Set<ID>()
  #heard = Date.now()
  #watched: ID | null = null
  #clock: ReturnType<typeof setInterval> | undefined
  #marker: ReturnType<typeof setTimeout> | undefined
  #synced = false
  /** Something was fetched before the socket was ready. */
  #early = false
  #opened: () => void = () => {}
  readonly #open = new Promise<void>((done) => (this.#opened = done))
  #stop: (() => void)[] = []

  constructor(options: LiveOptions) {
    this.me = options.me
    this.#api = options.api
    this.directory = new Directory(options.api)
    this.timelines = new Timelines(this.conversations, (scope) => (query) => this.#timeline(scope, query))
    this.conversations.onUnknownMark = (id) => this.#learn(id)
    this.#socket = new LiveSocket({
      url: options.url ?? liveUrl(),
      onFrame: (frame) => this.#batch.push(frame),
      onState: (state) => this.#changed(state, options.onSignedOut),
      onAlive: (at) => (this.#heard = at),
      onReload: options.onReload,
      ...options.socket,
    })
  }

  start(): void {
    this.#socket.start()
    void this.subscribed().then(() => this.directory.load())
    this.#api.get('/api/counts').then(
      (counts) => (this.counts ??= counts),
      () => {}, // the socket brings them too
    )
    this.#clock = setInterval(() => {
      if (this.lastSynced !== this.#heard) this.lastSynced = this.#heard
    }, CLOCK_MS)
    const probe = () => this.#socket.probe()
    const lost = () => this.#socket.lost()
    const visible = () => {
      if (document.visibilityState === 'visible') probe()
      this.#look()
    }
    addEventListener('online', probe)
    addEventListener('offline', lost)
    document.addEventListener('visibilitychange', visible)
    this.#stop.push(() => {
      removeEventListener('online', probe)
      removeEventListener('offline', lost)
      document.removeEventListener('visibilitychange', visible)
    })
  }

  stop(): void {
    for (const stop of this.#stop.splice(0)) stop()
    clearInterval(this.#clock)
    clearTimeout(this.#marker)
    this.#socket.stop()
    this.people.forget()
  }

  /** Tries now, for the button of the bar on top. */
  reconnect(): void {
    this.#socket.probe()
  }

  /** A list that events keep true; dispose it when its screen goes. */
  view(query: ListQuery): ListView {
    const view = new ListView(this.conversations, query, async (q) => {
      await this.subscribed()
      return this.#api.get('/api/conversations', { query: q })
    })
    this.#views.add(view)
    return view
  }

  dispose(view: ListView): void {
    view.dispose()
    this.#views.delete(view)
  }

  /** One conversation by id, for an address that was opened directly. */
  async conversation(id: ID): Promise<Conversation | undefined> {
    await this.subscribed()
    const since = this.conversations.mark()
    const row = await this.#api.get('/api/conversations/{id}', { path: { id } })
    this.conversations.merge([row], since)
    return this.conversations.get(id)
  }

  /** Calls back for every event of a kind, after the stores have taken it; answers how to stop that. */
  on<K extends EventKind>(kind: K, handler: Handler<K>): () => void {
    const handlers = this.#handlers.get(kind) ?? new Set()
    this.#handlers.set(kind, handlers)
    const h = handler as unknown as Handler<EventKind>
    handlers.add(h)
    return () => handlers.delete(h)
  }

  /** Calls back when what was fetched may be stale (events were lost): fetch again. */
  onResync(handler: () => void): () => void {
    this.#resync.add(handler)
    return () => this.#resync.delete(handler)
  }

  /** Tells colleagues where I look. */
  watch(conversation: ID | null): void {
    this.#watched = conversation
    this.#look()
  }

  /** Nobody looks at a tab that is hidden: then he is told what comes in. */
  #look(): void {
    const hidden = document.visibilityState === 'hidden'
    this.#socket.send({ type: 'watch', conversation_id: hidden ? null : this.#watched })
  }

  typing(conversation: ID, on: boolean): void {
    this.#socket.send({ type: 'typing', conversation_id: conversation, on })
  }

  /** Before anything is fetched that events keep true. */
  async subscribed(): Promise<void> {
    if (this.#synced) return
    let timer: ReturnType<typeof setTimeout> | undefined
    await Promise.race([this.#open, new Promise((done) => (timer = setTimeout(done, OPEN_MS)))])
    clearTimeout(timer)
    if (!this.#synced) this.#early = true
  }

  async #timeline(scope: Scope, query: TimelineQuery): Promise<TimelinePage> {
    await this.subscribed()
    const options = { path: { id: scope.id }, query }
    if (scope.kind === 'conversation') return this.#api.get('/api/conversations/{id}/timeline', options)
    const page = await this.#api.get('/api/contacts/{id}/timeline', options)
    for (const item of page.items) this.timelines.belongs(item.conversation_id, scope.id)
    return page
  }

  #changed(state: SocketState, onSignedOut?: () => void): void {
    if (state === 'reconnecting') this.reconnectingSince ??= Date.now()
    else this.reconnectingSince = null
    if (state !== 'connected') this.people.forget()
    this.state = state
    if (state === 'signed-out') onSignedOut?.()
  }

  #apply(frames: ServerFrame[]): void {
    const items: Item[] = []
    const events: EventFrame[] = []
    for (const frame of frames) {
      if (frame.type === 'event') {
        this.#event(frame, items)
        events.push(frame)
      } else this.#hint(frame)
    }
    if (items.length > 0) this.timelines.apply(items)
    for (const frame of events) {
      for (const handler of this.#handlers.get(frame.kind) ?? []) handler(frame.data)
    }
  }

  #hint(frame: Exclude<ServerFrame, EventFrame>): void {
    switch (frame.type) {
      case 'ready':
      case 'snapshot':
        this.counts = frame.counts
        this.people.setPresence(frame.presence)
        if (this.#watched !== null) this.watch(this.#watched)
        if ((frame.type === 'snapshot' && this.#synced) || this.#early) this.#refetch()
        this.#early = false
        this.#opened()
        this.#synced = true
        return
      case 'counts': {
        const { type: _, ...counts } = frame
        this.counts = counts
        return
      }
      case 'typing':
        if (frame.who.kind !== 'agent' || frame.who.id !== this.me) this.people.setTyping(frame)
        return
      case 'viewers':
        this.people.setViewers(
          frame.conversation_id,
          frame.agents.filter((id) => id !== this.me),
        )
        return
      case 'presence':
        this.people.setPresence(frame.agents)
        return
    }
  }

  #event(frame: EventFrame, items: Item[]): void {
    switch (frame.kind) {
      case 'message.created':
      case 'message.updated':
        items.push(frame.data)
        if (frame.kind === 'message.created') {
          this.#silence(frame.data)
          if (frame.data.conversation) this.conversations.event(frame.data.conversation, false)
        }
        return
      case 'conversation.created':
      case 'conversation.updated':
        return this.conversations.event(frame.data, frame.kind === 'conversation.created')
      case 'conversation.gone':
        return this.conversations.gone(frame.data.id)
      case 'read.updated':
        if (frame.data.agent_id === this.me)
          this.conversations.read(frame.data.conversation_id, frame.data.in_no)
        return
      case 'agent.updated':
        return this.directory.agents.put(frame.data)
      case 'team.updated':
        return this.directory.teams.put(frame.data)
      case 'team.deleted':
        return this.directory.teams.remove(frame.data.id)
      case 'channel.updated':
        return this.directory.channels.put({ settings: {}, settings_set: [], ...frame.data })
      case 'channel.deleted':
        return this.directory.channels.remove(frame.data.id)
      case 'view.updated':
        return this.directory.views.put(frame.data)
      case 'view.deleted':
        return this.directory.views.hide(frame.data.id)
      case 'pipeline.updated':
        return this.directory.putPipeline(frame.data)
      case 'setting.updated':
        this.directory.loadSettings().catch(() => {}) // the old value serves until the next load
        return
    }
  }

  /** What was said ends the typing of who said it. */
  #silence(item: Item): void {
    for (const who of this.people.typing(item.conversation_id)) {
      const same = who.kind === item.author.kind && (who.kind === 'contact' || who.id === item.author.id)
      if (same) this.people.setTyping({ conversation_id: item.conversation_id, who, on: false })
    }
  }

  #refetch(): void {
    void this.directory.load()
    for (const view of this.#views) void view.refresh()
    this.timelines.refresh(this.shown)
    for (const handler of this.#resync) handler()
  }

  #learn(id: ID): void {
    this.#unmarked.add(id)
    this.#marker ??= setTimeout(() => {
      this.#marker = undefined
      const ids = [...this.#unmarked]
      this.#unmarked.clear()
      for (const unknown of ids) this.conversation(unknown).catch(() => {}) // gone again, or offline: asked next time
    }, MARKER_MS)
  }
}

function liveUrl(): string {
  return `${location.origin.replace(/^http/, 'ws')}/api/live`
}

const KEY = Symbol('live')

export function setLive(live: Live): Live {
  return setContext(KEY, live)
}

export function getLive(): Live {
  return getContext<Live>(KEY)
}
