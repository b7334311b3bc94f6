import { SvelteMap } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import { asApiError, type ApiError } from '$lib/api/errors'
import type { ID, Item, NewMessage } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import { readStored, writeStored } from './storage'

/** A message on its way to our own server. Its id is made here: however often it is posted, it is one message. */
export interface Sending {
  conversation: ID
  body: NewMessage
  local: Item
  /** posting: a request is on its way; waiting: no answer came, it will be tried again; refused: the server said no. */
  state: 'posting' | 'waiting' | 'refused'
  error: ApiError | null
}

export type UnseenHandler = (sending: Sending, unseen: readonly Item[]) => void

const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000]

/**
 * The way from the composer to the server. What was typed is kept in the browser until the server has it, so neither a
 * dead network nor a reload loses it; posts of one conversation go in order.
 */
export class Sends {
  /** Called when the server says that something came in which was not on the screen: the message goes back. */
  onUnseen: UnseenHandler = () => {}
  /** Whose timeline is on the screen. */
  person: ID = ''

  readonly #live: Live
  readonly #api: Client
  readonly #key: string
  readonly #jobs = new SvelteMap<string, Sending>()
  readonly #undo = new SvelteMap<string, number>()
  readonly #lanes = new Map<ID, Promise<void>>()
  readonly #wake = new Set<() => void>()

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
    this.#key = `parley.sends.${live.me}`
  }

  /** Takes up what an earlier page could not deliver. */
  resume(): void {
    for (const job of readStored<Sending[]>(this.#key) ?? []) {
      if (!this.#jobs.has(job.body.id)) this.#take({ ...job, state: 'posting', error: null })
    }
  }

  get(id: string): Sending | undefined {
    return this.#jobs.get(id)
  }

  /** Local items of a conversation that the server does not have yet. */
  pending(conversation: ID): Item[] {
    return [...this.#jobs.values()].filter((job) => job.conversation === conversation).map((job) => job.local)
  }

  /** Until when a message can be taken back; undefined when it cannot. */
  undoUntil(id: string): number | undefined {
    return this.#undo.get(id)
  }

  send(conversation: ID, body: NewMessage, local: Item): void {
    this.#take({ conversation, body, local, state: 'posting', error: null })
  }

  /** The connection is back, or somebody pressed the button. */
  retry(id?: string): void {
    const job = id === undefined ? undefined : this.#jobs.get(id)
    if (job?.state === 'refused') {
      this.#set({ ...job, state: 'posting', error: null })
      this.#enqueue(job.body.id)
    }
    for (const wake of [...this.#wake]) wake()
  }

  /** Gives up on a message that the server refused or never got; its words are answered, for the composer. */
  withdraw(id: string): Sending | undefined {
    const job = this.#jobs.get(id)
    if (!job) return undefined
    this.#forget(id)
    this.#live.timelines.discard(id)
    return job
  }

  /** Takes back a message that the server has but has not sent yet. */
  async cancel(item: Item): Promise<Item> {
    const path = { id: item.conversation_id, mid: item.id }
    const answer = await this.#api.post('/api/conversations/{id}/messages/{mid}/cancel', { path })
    this.#undo.delete(item.id)
    this.#live.timelines.apply([answer])
    return answer
  }

  #take(job: Sending): void {
    this.#set(job)
    this.#live.timelines.apply([job.local])
    this.#enqueue(job.body.id)
  }

  #enqueue(id: string): void {
    const lane = this.#jobs.get(id)!.conversation
    const before = this.#lanes.get(lane) ?? Promise.resolve()
    const mine = before.then(() => this.#post(id))
    this.#lanes.set(lane, mine)
  }

  async #post(id: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const job = this.#jobs.get(id)
      if (!job || job.state === 'refused') return
      this.#set({ ...job, state: 'posting' })
      try {
        const item = await this.#api.post('/api/conversations/{id}/messages', {
          path: { id: job.conversation },
          body: job.body,
        })
        this.#accepted(id, item)
        return
      } catch (thrown) {
        const error = asApiError(thrown)
        if (!this.#jobs.has(id)) return
        if (error.status === 409 && reason(error) === 'unseen') {
          const unseen = (error.problem.items as Item[] | undefined) ?? []
          this.#forget(id)
          this.#live.timelines.discard(id)
          this.#live.timelines.apply(unseen)
          this.onUnseen(job, unseen)
          return
        }
        if (!temporary(error)) {
          this.#set({ ...job, state: 'refused', error })
          return
        }
        this.#set({ ...job, state: 'waiting', error })
        await this.#pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]!)
      }
    }
  }

  #accepted(id: string, item: Item): void {
    this.#forget(id)
    this.#live.timelines.discard(id)
    this.#live.timelines.belongs(item.conversation_id, this.#contactOf(item))
    this.#live.timelines.apply([item])
    const seconds = this.#live.directory.undoSeconds
    if (item.kind !== 'message' || item.status !== 'queued' || item.send_at !== null || seconds <= 0) return
    this.#undo.set(id, Date.now() + seconds * 1000)
    setTimeout(() => this.#undo.delete(id), seconds * 1000)
  }

  /** An answer by another channel may have opened a conversation that no event has named yet. */
  #contactOf(item: Item): ID {
    const row = this.#live.conversations.get(item.conversation_id)
    return row?.contact.id ?? this.#live.timelines.contactOf(item.conversation_id) ?? this.person
  }

  #pause(ms: number): Promise<void> {
    return new Promise((done) => {
      const wake = () => {
        clearTimeout(timer)
        this.#wake.delete(wake)
        done()
      }
      const timer = setTimeout(wake, ms)
      this.#wake.add(wake)
    })
  }

  #set(job: Sending): void {
    this.#jobs.set(job.body.id, job)
    this.#store()
  }

  #forget(id: string): void {
    this.#jobs.delete(id)
    this.#store()
  }

  #store(): void {
    const jobs = [...this.#jobs.values()].map((job) => ({ ...job, error: null }))
    writeStored(this.#key, jobs.length > 0 ? jobs : undefined)
  }
}

/** Why a conflict is one: "unseen" or "closed". */
export function reason(error: ApiError): string {
  return String(error.problem.reason ?? error.code)
}

/** Whether trying again can help: no answer, a server in trouble, too many requests. */
function temporary(error: ApiError): boolean {
  return error.offline || error.status >= 500 || error.status === 429 || error.status === 401
}
