import { tick } from 'svelte'
import { asApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import { t } from '$lib/i18n/index.svelte'

/**
 * A form's values, what is wrong with them, and its one submission. What was typed stays through every failure; the
 * server's complaint stands beside its field until that field is changed; what belongs to no field is `failure`.
 */
export class Form<T extends object> {
  values = $state() as T
  busy = $state(false)
  failure = $state<{ title: string; text: string } | null>(null)
  #errors = $state<Record<string, { message: string; value: string }>>({})
  #initial = $state('')
  #key = crypto.randomUUID()
  /** Names of fields that the form shows; a complaint about another one becomes part of `failure`. */
  readonly #known: Set<string>

  constructor(initial: T, known: string[] = Object.keys(initial)) {
    this.values = initial
    this.#initial = JSON.stringify(initial)
    this.#known = new Set(known)
  }

  get dirty(): boolean {
    return JSON.stringify(this.values) !== this.#initial
  }

  /** The top-level values that differ from where they began: a change of one field never undoes a colleague's. */
  get changes(): Partial<T> {
    const before = JSON.parse(this.#initial) as Record<string, unknown>
    const now = $state.snapshot(this.values) as Record<string, unknown>
    return Object.fromEntries(
      Object.entries(now).filter(([k, v]) => JSON.stringify(v) !== JSON.stringify(before[k])),
    ) as Partial<T>
  }

  /** Somebody else changed the thing: take over what I did not touch, keep what I typed. */
  rebase(newest: T): void {
    this.values = { ...newest, ...this.changes }
    this.#initial = JSON.stringify(newest)
  }

  /** The complaint about a field, while the field still says what was complained about. */
  error(name: string): string | null {
    const e = this.#errors[name]
    return e && e.value === this.#read(name) ? e.message : null
  }

  complain(name: string, message: string): void {
    this.#errors = { ...this.#errors, [name]: { message, value: this.#read(name) } }
  }

  /** The server's (or a fresh) state becomes what "unchanged" means. */
  reset(to: T): void {
    this.values = to
    this.#initial = JSON.stringify(to)
    this.#errors = {}
    this.failure = null
    this.#key = crypto.randomUUID()
  }

  /**
   * Runs send once. Its key goes into Idempotency-Key: after a lost answer the same form sends the same key, so
   * nothing is made twice; a refusal makes a new one.
   *
   * newest loads the thing again after a conflict; what was typed is laid over it, and saving again is the user's.
   */
  async submit(
    send: (values: T, key: string) => Promise<void>,
    { newest }: { newest?: () => Promise<T> } = {},
  ): Promise<boolean> {
    if (this.busy) return false
    this.busy = true
    this.failure = null
    this.#errors = {}
    try {
      await send($state.snapshot(this.values) as T, this.#key)
      this.#key = crypto.randomUUID()
      return true
    } catch (err) {
      const e = asApiError(err)
      if (!e.offline && e.status < 500) this.#key = crypto.randomUUID()
      if (e.status === 409 && newest && (await this.#takeOver(newest))) return false
      const strangers: string[] = []
      for (const [location, message] of Object.entries(e.fields)) {
        const name = this.#nearest(location)
        if (name === null) strangers.push(location ? `${location}: ${message}` : message)
        else this.complain(name, message)
      }
      if (Object.keys(this.#errors).length === 0 || strangers.length > 0) {
        const words = explain(e)
        this.failure = strangers.length > 0 ? { title: words.title, text: strangers.join('\n') } : words
      }
      await tick()
      focusFirstInvalid()
      return false
    } finally {
      this.busy = false
    }
  }

  async #takeOver(newest: () => Promise<T>): Promise<boolean> {
    try {
      this.rebase(await newest())
    } catch {
      return false
    }
    this.failure = { title: t('common.error.conflict.title'), text: t('common.error.conflict.merged') }
    return true
  }

  /** "settings.token" -> itself, or the nearest known ancestor ("week[2].from" -> "week"). */
  #nearest(location: string): string | null {
    let name = location
    for (;;) {
      if (this.#known.has(name)) return name
      const cut = Math.max(name.lastIndexOf('.'), name.lastIndexOf('['))
      if (cut <= 0) return null
      name = name.slice(0, cut)
    }
  }

  #read(name: string): string {
    let v: unknown = this.values
    for (const part of name.split(/[.[\]]+/).filter(Boolean))
      v = (v as Record<string, unknown> | undefined)?.[part]
    return JSON.stringify(v) ?? ''
  }
}

function focusFirstInvalid(): void {
  const open = document.querySelector('[role=dialog][data-state=open]') ?? document
  open.querySelector<HTMLElement>('[aria-invalid=true]')?.focus()
}
