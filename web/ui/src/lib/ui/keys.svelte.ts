/**
 * Every shortcut of the application: what `?` shows is what is listened to. A screen registers its keys while it is
 * open; the latest registration of a chord wins.
 *
 * Chords: "mod+k" (Ctrl, or Cmd on a Mac), "shift+enter", "j", "?", or two presses, "g i".
 */
import { untrack } from 'svelte'
import { isMac } from './key-names'

export interface Shortcut {
  keys: string
  label: string
  /** Shortcuts of one group stand together in the help. */
  group: string
  run: (e: KeyboardEvent) => void
  /** Works while somebody types into a field too. */
  inFields?: boolean
  when?: () => boolean
  /** Listened to but not shown. */
  hidden?: boolean
}

/** The time in which the second press of "g i" must follow. */
const sequenceMs = 900

export class Keys {
  #entries = $state.raw<Shortcut[]>([])
  #first = ''
  #timer: ReturnType<typeof setTimeout> | undefined

  get all(): Shortcut[] {
    return this.#entries
  }

  /** Call it in an $effect: the returned function takes the shortcuts away again. */
  register(shortcuts: Shortcut[]): () => void {
    // Untracked, here and in the other registries: whoever registers in an effect must not run again for it.
    untrack(() => (this.#entries = [...this.#entries, ...shortcuts]))
    return () => {
      const gone = new Set(shortcuts)
      untrack(() => (this.#entries = this.#entries.filter((s) => !gone.has(s))))
    }
  }

  listen(target: EventTarget = document): () => void {
    const on = (e: Event) => this.handle(e as KeyboardEvent)
    target.addEventListener('keydown', on)
    return () => target.removeEventListener('keydown', on)
  }

  handle(e: KeyboardEvent): void {
    if (e.defaultPrevented || e.isComposing || e.key === 'Unidentified') return
    const press = chordOf(e)
    if (press === '') return
    const typing = isField(e.target)
    // An open dialog or menu keeps its keys, one that is going away does not; what must work everywhere says so with inFields.
    const covered =
      document.querySelector(
        '[role=dialog][data-state=open],[role=alertdialog][data-state=open],[role=menu]:not([data-state=closed])',
      ) !== null
    const sequence = this.#first ? `${this.#first} ${press}` : ''
    this.#first = ''
    clearTimeout(this.#timer)

    const fits = (s: Shortcut) => (s.inFields || (!typing && !covered)) && (s.when?.() ?? true)
    const hit =
      (sequence && this.#entries.findLast((s) => normal(s.keys) === sequence && fits(s))) ||
      this.#entries.findLast((s) => normal(s.keys) === press && fits(s))
    if (hit) {
      e.preventDefault()
      hit.run(e)
      return
    }
    if (!typing && !covered && this.#entries.some((s) => normal(s.keys).startsWith(press + ' '))) {
      this.#first = press
      this.#timer = setTimeout(() => (this.#first = ''), sequenceMs)
    }
  }
}

/** "mod+shift+k" from an event. A letter typed on a Cyrillic or Ethiopic layout counts as the key it sits on. */
export function chordOf(e: KeyboardEvent, onMac: boolean = isMac): string {
  let key = e.key.toLowerCase()
  if (['control', 'shift', 'alt', 'meta', 'altgraph'].includes(key)) return ''
  if (key === ' ') key = 'space'
  key = key.replace(/^arrow/, '')
  if (key.length === 1 && key.charCodeAt(0) > 127 && /^Key[A-Z]$/.test(e.code))
    key = e.code.slice(3).toLowerCase()
  const mods: string[] = []
  if (onMac ? e.metaKey : e.ctrlKey) mods.push('mod')
  if (onMac && e.ctrlKey) mods.push('ctrl')
  if (e.altKey) mods.push('alt')
  // "?" is already what shift makes of its key.
  if (e.shiftKey && (key.length > 1 || /[a-z]/.test(key) || mods.length > 0)) mods.push('shift')
  return [...mods, key].join('+')
}

function normal(keys: string): string {
  return keys.toLowerCase().replaceAll('esc ', 'escape ').replace(/esc$/, 'escape')
}

export function isField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target.isContentEditable) return true
  if (target instanceof HTMLInputElement)
    return !['button', 'checkbox', 'radio', 'submit', 'reset', 'range', 'file'].includes(target.type)
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
}

export const keys = new Keys()
