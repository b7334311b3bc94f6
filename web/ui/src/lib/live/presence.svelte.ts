import { SvelteMap } from 'svelte/reactivity'
import type { ID, Presence, ServerFrame } from '$lib/api/types'

type TypingFrame = Extract<ServerFrame, { type: 'typing' }>

/** A typing notice is valid this long; whoever goes on typing says so again. */
const TYPING_MS = 7_000

export interface Typist {
  kind: 'agent' | 'contact'
  id: ID
  name: string
}

/** Who is at work, who looks at which conversation, who is typing. All of it is a hint and may be lost. */
export class People {
  readonly agents = new SvelteMap<ID, Presence[ID]>()
  readonly #viewers = new SvelteMap<ID, readonly ID[]>()
  readonly #typing = new SvelteMap<ID, readonly Typist[]>()
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>()

  setPresence(presence: Presence): void {
    for (const id of this.agents.keys()) if (!(id in presence)) this.agents.delete(id)
    for (const [id, status] of Object.entries(presence)) {
      if (this.agents.get(id) !== status) this.agents.set(id, status)
    }
  }

  viewers(conversation: ID): readonly ID[] {
    return this.#viewers.get(conversation) ?? []
  }

  setViewers(conversation: ID, agents: readonly ID[]): void {
    if (agents.length === 0) this.#viewers.delete(conversation)
    else this.#viewers.set(conversation, agents)
  }

  typing(conversation: ID): readonly Typist[] {
    return this.#typing.get(conversation) ?? []
  }

  setTyping(frame: Pick<TypingFrame, 'conversation_id' | 'who' | 'on'>): void {
    const { conversation_id: conversation, who, on } = frame
    const key = `${conversation}:${who.kind}:${who.id}`
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
    const others = this.typing(conversation).filter((t) => t.kind !== who.kind || t.id !== who.id)
    if (on) {
      this.#typing.set(conversation, [...others, who])
      this.#timers.set(
        key,
        setTimeout(() => this.setTyping({ ...frame, on: false }), TYPING_MS),
      )
    } else if (others.length > 0) this.#typing.set(conversation, others)
    else this.#typing.delete(conversation)
  }

  /** The connection was lost: what was true then is not known any more. */
  forget(): void {
    this.#viewers.clear()
    this.#typing.clear()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }
}
