/**
 * The command palette's registry. A screen registers the actions of the moment; a source finds things by name while
 * somebody types (conversations, contacts). The box itself is in shell/.
 */
import { untrack } from 'svelte'
import type { IconType } from './icon'

export interface Command {
  id: string
  label: string
  group: string
  /** A second line: where it is, who it is. */
  hint?: string
  /** Other words that find it. */
  words?: string
  icon?: IconType
  kbd?: string
  run: () => void | Promise<void>
  when?: () => boolean
}

export interface CommandSource {
  id: string
  group: string
  search: (query: string, signal: AbortSignal) => Promise<Command[]>
}

export class Palette {
  open = $state(false)
  #commands = $state.raw<(Command | (() => Command[]))[]>([])
  #sources = $state.raw<CommandSource[]>([])

  /** A function is asked each time the palette draws: for lists that change. Call it in an $effect. */
  register(commands: Command[] | (() => Command[])): () => void {
    const mine = typeof commands === 'function' ? [commands] : commands
    untrack(() => (this.#commands = [...mine, ...this.#commands]))
    return () => {
      const gone = new Set<unknown>(mine)
      untrack(() => (this.#commands = this.#commands.filter((c) => !gone.has(c))))
    }
  }

  registerSource(source: CommandSource): () => void {
    untrack(() => (this.#sources = [...this.#sources, source]))
    return () => untrack(() => (this.#sources = this.#sources.filter((s) => s !== source)))
  }

  get commands(): Command[] {
    return this.#commands
      .flatMap((c) => (typeof c === 'function' ? c() : [c]))
      .filter((c) => c.when?.() ?? true)
  }

  get sources(): CommandSource[] {
    return this.#sources
  }

  match(query: string): Command[] {
    const all = this.commands
    if (query.trim() === '') return all
    return all
      .map((c) => ({ c, score: score(query, c) }))
      .filter((x) => x.score > 0)
      .sort((a, b) => b.score - a.score)
      .map((x) => x.c)
  }
}

/** 0: no match. Every word of the query must begin, or at least be inside, some word of the command. */
export function score(query: string, c: Pick<Command, 'label' | 'words' | 'hint' | 'group'>): number {
  const label = fold(c.label)
  const rest = fold(`${c.words ?? ''} ${c.hint ?? ''} ${c.group}`)
  let total = 0
  for (const word of fold(query).split(/\s+/).filter(Boolean)) {
    if (label.startsWith(word)) total += 6
    else if (new RegExp(`(^|[^\\p{L}\\p{N}])${escape(word)}`, 'u').test(label)) total += 4
    else if (label.includes(word)) total += 2
    else if (rest.includes(word)) total += 1
    else return 0
  }
  return total
}

function fold(s: string): string {
  return s.toLocaleLowerCase().normalize('NFKD').replace(/\p{M}/gu, '')
}

function escape(s: string): string {
  return s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

export const palette = new Palette()
