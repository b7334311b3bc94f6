import { SvelteMap } from 'svelte/reactivity'
import type { Attachment, ID } from '$lib/api/types'
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
  at: number
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
}

export function emptyDraft(): Draft {
  return { ...EMPTY, attachments: [], at: Date.now() }
}

export function isBlank(draft: Pick<Draft, 'text' | 'attachments'> & Partial<Draft>): boolean {
  return draft.text.trim() === '' && draft.attachments.length === 0 && !draft.forward_of
}

/**
 * Drafts of this agent in this browser, one for each conversation; another window's changes come in by the storage
 * event. A draft ends when its message was accepted or when it is emptied, never by leaving.
 */
export class Drafts {
  readonly #prefix: string
  readonly #map = new SvelteMap<ID, Draft>()
  readonly #timers = new Map<ID, ReturnType<typeof setTimeout>>()

  constructor(agent: ID) {
    this.#prefix = `parley.draft.${agent}.`
    for (const key of storedKeys(this.#prefix)) {
      const draft = readStored<Draft>(key)
      if (draft && !isBlank(draft))
        this.#map.set(key.slice(this.#prefix.length), { ...emptyDraft(), ...draft })
    }
  }

  get(conversation: ID): Draft | undefined {
    return this.#map.get(conversation)
  }

  set(conversation: ID, draft: Draft): void {
    if (isBlank(draft)) {
      this.clear(conversation)
      return
    }
    this.#map.set(conversation, draft)
    // Writing on every key press would be felt; a fifth of a second of typing is not lost by anybody.
    clearTimeout(this.#timers.get(conversation))
    this.#timers.set(
      conversation,
      setTimeout(() => this.#write(conversation), 200),
    )
  }

  clear(conversation: ID): void {
    this.#map.delete(conversation)
    this.#write(conversation)
  }

  /** Before the page goes. */
  flush(): void {
    for (const conversation of this.#timers.keys()) this.#write(conversation)
  }

  /** Follows other windows until the returned function is called. */
  follow(): () => void {
    const storage = (e: StorageEvent) => {
      if (!e.key?.startsWith(this.#prefix)) return
      const conversation = e.key.slice(this.#prefix.length)
      const draft = readStored<Draft>(e.key)
      if (draft) this.#map.set(conversation, { ...emptyDraft(), ...draft })
      else this.#map.delete(conversation)
    }
    const hide = () => this.flush()
    addEventListener('storage', storage)
    addEventListener('pagehide', hide)
    return () => {
      removeEventListener('storage', storage)
      removeEventListener('pagehide', hide)
      this.flush()
    }
  }

  #write(conversation: ID): void {
    clearTimeout(this.#timers.get(conversation))
    this.#timers.delete(conversation)
    writeStored(this.#prefix + conversation, this.#map.get(conversation))
  }
}
