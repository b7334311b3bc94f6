import type { Canned, Mentionable } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import { toasts } from '$lib/ui'
import { asApiError } from '$lib/api/errors'
import type { Composer } from './composer.svelte'
import type { Inbox } from './inbox.svelte'
import { meant } from './trigger'
import { Upload } from './uploads.svelte'
import { expand, firstName } from './variables'

/** One line of the list that opens while somebody types. */
export interface Suggestion {
  id: string
  title: string
  /** What it is, or why it cannot be taken. */
  hint: string
  /** At the end of the line: a shortcut. */
  mark: string
  disabled: boolean
  /** Answers the text that takes the place of what was typed. */
  take: () => string
}

export interface Source {
  readonly label: string
  /** Nothing of that name. */
  readonly none: string
  readonly loading: boolean
  load(): void
  find(word: string): Suggestion[]
}

const SHOWN = 8

/** "/": canned answers. What was used most comes first. */
export class CannedSource implements Source {
  readonly #inbox: Inbox
  readonly #composer: Composer

  constructor(inbox: Inbox, composer: Composer) {
    this.#inbox = inbox
    this.#composer = composer
  }

  get label(): string {
    return t('inbox.canned.label')
  }

  get none(): string {
    return t(this.#inbox.canned.list.length === 0 ? 'inbox.canned.empty' : 'inbox.canned.none')
  }

  get loading(): boolean {
    return !this.#inbox.canned.loaded && !this.#inbox.canned.failed
  }

  load(): void {
    this.#inbox.canned.want()
  }

  find(word: string): Suggestion[] {
    const rank = (c: Canned) => (c.shortcut && c.shortcut.startsWith(word.toLocaleLowerCase()) ? 1 : 0)
    return this.#inbox.canned.list
      .filter((c) => meant(word, c.shortcut, c.title))
      .toSorted((a, b) => rank(b) - rank(a) || b.used - a.used || a.title.localeCompare(b.title))
      .slice(0, SHOWN)
      .map((c) => ({
        id: c.id,
        title: c.title,
        hint:
          this.#expand(c.text).replace(/\s+/g, ' ').slice(0, 120) ||
          c.attachments.map((f) => f.name).join(', '),
        mark: c.shortcut && `/${c.shortcut}`,
        disabled: false,
        take: () => this.#take(c),
      }))
  }

  #expand(text: string): string {
    const live = this.#inbox.live
    const row = live.conversations.get(this.#composer.conversation)
    const contact = row?.contact.name ?? ''
    return expand(text, {
      'contact.name': contact,
      'contact.first_name': firstName(contact),
      'agent.name': live.directory.agents.get(live.me)?.name ?? '',
      'conversation.number': row?.number ?? '',
    })
  }

  #take(c: Canned): string {
    const composer = this.#composer
    this.#inbox.canned.use(c.id).then(
      (files) => {
        composer.uploads = [...composer.uploads, ...files.map((file) => new Upload(file))]
        if (files.length > 0) composer.save()
      },
      (error: unknown) => {
        // The words stand already; only files could be missing, and of those the writer must know.
        if (c.attachments.length > 0)
          toasts.bad(t('inbox.canned.files_failed'), { detail: asApiError(error).message })
      },
    )
    return this.#expand(c.text)
  }
}

/** "@": colleagues and teams. Whoever may not see the conversation is shown, but cannot be called. */
export class MentionSource implements Source {
  readonly #inbox: Inbox
  readonly #composer: Composer
  #people = $state.raw<readonly Mentionable[] | null>(null)
  #failed = $state(false)

  constructor(inbox: Inbox, composer: Composer) {
    this.#inbox = inbox
    this.#composer = composer
  }

  get label(): string {
    return t('inbox.mention.label')
  }

  get none(): string {
    return t(this.#failed ? 'inbox.mention.failed' : 'inbox.mention.none')
  }

  get loading(): boolean {
    return this.#people === null && !this.#failed
  }

  /** Each time anew: who may see a conversation changes with its team and owner. */
  load(): void {
    this.#inbox.api
      .get('/api/conversations/{id}/mentionable', { path: { id: this.#composer.conversation } })
      .then(
        ({ items }) => {
          this.#people = items
          this.#failed = false
        },
        () => (this.#failed = true),
      )
  }

  find(word: string): Suggestion[] {
    return (this.#people ?? [])
      .filter((m) => meant(word, m.name))
      .toSorted((a, b) => Number(b.seeing > 0) - Number(a.seeing > 0))
      .slice(0, SHOWN)
      .map((m) => ({
        id: `${m.kind}-${m.id}`,
        title: m.name,
        hint: hint(m),
        mark: '',
        disabled: m.seeing === 0,
        take: () => {
          this.#composer.mention({ kind: m.kind, id: m.id, name: m.name })
          return `@${m.name} `
        },
      }))
  }
}

function hint(m: Mentionable): string {
  if (m.kind === 'agent') return m.seeing > 0 ? '' : t('inbox.mention.unseen')
  if (m.seeing === 0) return t('inbox.mention.team_unseen')
  if (m.seeing < m.members) return t('inbox.mention.team_some', { seeing: m.seeing, count: m.members })
  return t('inbox.mention.team', { count: m.members })
}
