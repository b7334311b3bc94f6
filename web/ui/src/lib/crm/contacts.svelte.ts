import { getContext, setContext } from 'svelte'
import { SvelteMap } from 'svelte/reactivity'
import type { Client } from '$lib/api/client'
import { asApiError, type ApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import type { ContactPatch } from '$lib/api/routes'
import type { Contact, ID, Lead } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import { toasts } from '$lib/ui'

const SETTLE_MS = 120

export type ContactChange = Omit<ContactPatch, 'version'>

/**
 * The people whose card was opened lately, whole, kept fresh by events: an event says that something changed, the card
 * is fetched again. An older answer never overwrites a newer one.
 */
export class Contacts {
  readonly #live: Live
  readonly #api: Client
  readonly #cards = new SvelteMap<ID, Contact>()
  readonly #errors = new SvelteMap<ID, ApiError>()
  readonly #due = new Map<ID, ReturnType<typeof setTimeout>>()
  readonly #asked = new Map<ID, number>()

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  /** Follows events until the returned function is called. */
  start(): () => void {
    const live = this.#live
    const offs = [
      live.on('contact.updated', (contact) => this.#stale(contact.id, contact.version)),
      live.on('contact.merged', ({ into, from }) => [into, from].forEach((id) => this.#stale(id))),
      live.on('contact.unmerged', ({ into, from }) => [into, from].forEach((id) => this.#stale(id))),
      live.on('lead.created', (lead) => this.#stale(lead.contact.id)),
      live.on('lead.updated', (lead) => this.#stale(lead.contact.id)),
      live.on('conversation.created', (row) => this.#stale(row.contact.id)),
      live.onResync(() => [...this.#cards.keys()].forEach((id) => this.#stale(id))),
    ]
    return () => {
      for (const off of offs) off()
      for (const timer of this.#due.values()) clearTimeout(timer)
    }
  }

  get(id: ID): Contact | undefined {
    return this.#cards.get(id)
  }

  error(id: ID): ApiError | undefined {
    return this.#errors.get(id)
  }

  async load(id: ID): Promise<void> {
    const run = (this.#asked.get(id) ?? 0) + 1
    this.#asked.set(id, run)
    try {
      await this.#live.subscribed()
      const contact = await this.#api.get('/api/contacts/{id}', { path: { id } })
      if (this.#asked.get(id) !== run) return
      this.put(contact, id)
    } catch (error) {
      if (this.#asked.get(id) === run) this.#errors.set(id, asApiError(error))
    }
  }

  /** An answer of the server. A merged person's id leads to who he is now. */
  put(contact: Contact, asked: ID = contact.id): void {
    this.#errors.delete(asked)
    const known = this.#cards.get(contact.id)
    if (!known || contact.version >= known.version) this.#cards.set(contact.id, contact)
    if (asked !== contact.id) this.#cards.set(asked, this.#cards.get(contact.id)!)
  }

  /** Changes a card; on the screen at once, taken back when the server refuses. */
  async change(contact: Contact, change: ContactChange): Promise<boolean> {
    const { identities_add: _add, identities_remove: removed, ...rest } = change
    const shown: Contact = {
      ...contact,
      ...rest,
      identities: contact.identities.filter((identity) => !removed?.includes(identity.id)),
    }
    this.#cards.set(contact.id, shown)
    try {
      const path = { id: contact.id }
      this.put(
        await this.#api.patch('/api/contacts/{id}', { path, body: { version: contact.version, ...change } }),
      )
      return true
    } catch (error) {
      if (this.#cards.get(contact.id) === shown) this.#cards.set(contact.id, contact)
      this.fail(error)
      void this.load(contact.id)
      return false
    }
  }

  async changeLead(
    contact: Contact,
    lead: Lead,
    change: Partial<Pick<Lead, 'stage_id' | 'owner_id' | 'title' | 'amount'>>,
  ): Promise<boolean> {
    const replace = (next: Lead) => {
      const card = this.#cards.get(contact.id) ?? contact
      this.#cards.set(contact.id, {
        ...card,
        leads: card.leads.map((other) => (other.id === next.id ? next : other)),
      })
    }
    replace({ ...lead, ...change })
    try {
      const body = { version: lead.version, ...change }
      replace(await this.#api.patch('/api/leads/{id}', { path: { id: lead.id }, body }))
      return true
    } catch (error) {
      replace(lead)
      this.fail(error)
      void this.load(contact.id)
      return false
    }
  }

  async merge(into: Contact, from: readonly Contact[]): Promise<boolean> {
    try {
      const answer = await this.#api.post('/api/contacts/{id}/merge', {
        path: { id: into.id },
        body: { from: from.map((other) => other.id) },
      })
      this.put(answer.contact)
      toasts.show({
        text: t('crm.merge.done', { name: into.name }),
        timeout: 15_000,
        action: {
          label: t('common.undo'),
          run: async () => {
            for (const merge of answer.merges.toReversed()) await this.undo(merge)
          },
        },
      })
      return true
    } catch (error) {
      this.fail(error)
      return false
    }
  }

  async undo(merge: ID): Promise<boolean> {
    try {
      this.put(await this.#api.post('/api/merges/{id}/undo', { path: { id: merge } }))
      toasts.good(t('crm.merge.undone'))
      return true
    } catch (error) {
      this.fail(error)
      return false
    }
  }

  fail(error: unknown): void {
    const words = explain(asApiError(error))
    toasts.bad(words.title, { detail: words.text })
  }

  #stale(id: ID, version?: number): void {
    const known = this.#cards.get(id)
    if (!known || (version !== undefined && known.version >= version)) return
    clearTimeout(this.#due.get(id))
    this.#due.set(
      id,
      setTimeout(() => {
        this.#due.delete(id)
        void this.load(id)
      }, SETTLE_MS),
    )
  }
}

const KEY = Symbol('contacts')

export function setContacts(contacts: Contacts): Contacts {
  return setContext(KEY, contacts)
}

export function getContacts(): Contacts {
  return getContext<Contacts>(KEY)
}
