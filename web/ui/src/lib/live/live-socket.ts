import type { ClientFrame, ServerFrame } from '$lib/api/types'

/**
 * The one socket of the application. It never gives up: whatever breaks it, it comes back with the cursor of the last
 * event that was handed over, and the server replays what was missed or says `snapshot` (then the stores fetch again).
 *
 * A peer counts as dead when nothing came for QUIET_MS, a ping was sent, and nothing came for PONG_MS more: together
 * less than ten seconds, so that "Reconnecting" is on screen before an agent wonders.
 */
export const QUIET_MS = 8_000
export const PONG_MS = 1_800
/** A connection that says nothing at all (a proxy that swallows the upgrade) is given up after this. */
export const OPEN_MS = 9_000
const RETRY_FIRST_MS = 300
const RETRY_MAX_MS = 10_000

export type SocketState = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'signed-out'

export interface SocketLike {
  onopen: ((e: never) => void) | null
  onmessage: ((e: { data: unknown }) => void) | null
  onclose: ((e: { code: number }) => void) | null
  onerror: ((e: never) => void) | null
  send(data: string): void
  close(code?: number): void
}

export interface LiveSocketOptions {
  url: string
  onFrame: (frame: ServerFrame) => void
  onState: (state: SocketState) => void
  /** Something was heard: the screen is as fresh as now. */
  onAlive?: (at: number) => void
  /** 4003: the server wants the page to be loaded again (a new version is running). */
  onReload?: () => void
  open?: (url: string) => SocketLike
  random?: () => number
  now?: () => number
}

export const CLOSE_SLOW = 4001
export const CLOSE_SIGNED_OUT = 4002
export const CLOSE_RELOAD = 4003

export class LiveSocket {
  cursor: string | null = null

  readonly #o: Required<Pick<LiveSocketOptions, 'open' | 'random' | 'now'>> & LiveSocketOptions
  #socket: SocketLike | null = null
  #ready = false
  #attempt = 0
  #stopped = true
  #state: SocketState = 'idle'
  #quiet: ReturnType<typeof setTimeout> | undefined
  #retry: ReturnType<typeof setTimeout> | undefined

  constructor(options: LiveSocketOptions) {
    this.#o = {
      open: (url) => new WebSocket(url) as unknown as SocketLike,
      random: Math.random,
      now: Date.now,
      ...options,
    }
  }

  get state(): SocketState {
    return this.#state
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#attempt = 0
    this.#connect()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    this.#drop()
    this.#set('idle')
  }

  /** Sends when connected; answers whether it went out. Frames are hints (typing, watch): none is worth a queue. */
  send(frame: ClientFrame): boolean {
    if (!this.#ready || !this.#socket) return false
    this.#socket.send(JSON.stringify(frame))
    return true
  }

  /** The machine woke up or the network came back: find out now whether the peer is still there. */
  probe(): void {
    if (this.#stopped) return
    if (!this.#socket) {
      clearTimeout(this.#retry)
      this.#connect()
      return
    }
    if (this.#ready) this.#ping()
  }

  /** The network is known to be gone. */
  lost(): void {
    if (this.#stopped || !this.#socket) return
    this.#drop()
    this.#later()
  }

  #connect(): void {
    this.#set(this.#attempt === 0 && this.cursor === null ? 'connecting' : 'reconnecting')
    let socket: SocketLike
    try {
      socket = this.#o.open(this.#o.url)
    } catch {
      this.#later()
      return
    }
    this.#socket = socket
    this.#arm(OPEN_MS, () => this.#dead())
    socket.onopen = () => {
      if (socket !== this.#socket) return
      const hello: ClientFrame =
        this.cursor === null ? { type: 'hello' } : { type: 'hello', since: this.cursor }
      socket.send(JSON.stringify(hello))
    }
    socket.onmessage = (e) => {
      if (socket === this.#socket) this.#heard(e.data)
    }
    socket.onclose = (e) => {
      if (socket === this.#socket) this.#closed(e.code)
    }
    socket.onerror = null
  }

  #heard(data: unknown): void {
    this.#listen()
    this.#o.onAlive?.(this.#o.now())
    let frame: ServerFrame
    try {
      frame = JSON.parse(String(data)) as ServerFrame
    } catch {
      return
    }
    switch (frame.type) {
      case 'ready':
      case 'snapshot':
        this.#ready = true
        this.#attempt = 0
        // After a resume the missed events follow, each with its own cursor: jumping to the head now would lose them
        // if the socket died in the middle of the replay.
        if (frame.type === 'snapshot' || this.cursor === null) this.cursor = frame.cursor
        this.#o.onFrame(frame)
        this.#set('connected')
        return
      case 'event':
        this.#o.onFrame(frame)
        this.cursor = frame.cursor
        return
      case 'pong':
        return
      default:
        this.#o.onFrame(frame)
    }
  }

  #listen(): void {
    this.#arm(QUIET_MS, () => this.#ping())
  }

  #ping(): void {
    this.send({ type: 'ping' })
    this.#arm(PONG_MS, () => this.#dead())
  }

  #dead(): void {
    this.#drop()
    this.#later()
  }

  #closed(code: number): void {
    this.#drop()
    if (this.#stopped) return
    if (code === CLOSE_SIGNED_OUT) {
      this.#stopped = true
      this.#set('signed-out')
      return
    }
    if (code === CLOSE_RELOAD) this.#o.onReload?.()
    this.#later()
  }

  #drop(): void {
    clearTimeout(this.#quiet)
    const socket = this.#socket
    this.#socket = null
    this.#ready = false
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    try {
      socket.close()
    } catch {
      // A socket that never opened may refuse to be closed; it is forgotten either way.
    }
  }

  #later(): void {
    if (this.#stopped) return
    this.#set('reconnecting')
    // Full jitter: after a restart of the server a thousand browsers must not come in the same instant.
    const ceiling = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#attempt)
    const wait = ceiling * (0.3 + 0.7 * this.#o.random())
    this.#attempt = Math.min(this.#attempt + 1, 16)
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), wait)
  }

  #arm(ms: number, then: () => void): void {
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(then, ms)
  }

  #set(state: SocketState): void {
    if (state === this.#state) return
    this.#state = state
    this.#o.onState(state)
  }
}
