import type { Client } from '$lib/api/client'
import { asApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import type { ConversationPatch } from '$lib/api/routes'
import type { Conversation, ID, Item } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import { toasts } from '$lib/ui'

export type Change = Omit<ConversationPatch, 'version'>

/**
 * What can be done to conversations and their messages. The screen changes at once; a refusal puts the old state back
 * and says why.
 */
export class Actions {
  readonly #live: Live
  readonly #api: Client

  constructor(live: Live, api: Client) {
    this.#live = live
    this.#api = api
  }

  async change(id: ID, change: Change): Promise<boolean> {
    const undo = this.#live.conversations.optimistic(id, shown(change))
    const since = this.#live.conversations.mark()
    try {
      const row = await this.#api.patch('/api/conversations/{id}', { path: { id }, body: change })
      undo()
      this.#live.conversations.merge([row], since)
      return true
    } catch (error) {
      undo()
      this.fail(error, t('inbox.failed.change'))
      return false
    }
  }

  assign(id: ID, agent: ID | null): Promise<boolean> {
    return this.change(id, { assignee_id: agent ?? '' })
  }

  async close(id: ID): Promise<boolean> {
    const row = this.#live.conversations.get(id)
    const before: Change | null = row ? { status: row.status, snoozed_until: row.snoozed_until } : null
    if (!(await this.change(id, { status: 'closed' }))) return false
    toasts.show({
      key: `close:${id}`,
      text: t('inbox.closed', { name: row?.contact.name ?? '' }),
      ...(before && before.status !== 'closed'
        ? { action: { label: t('common.undo'), run: () => void this.change(id, restored(before)) } }
        : {}),
    })
    return true
  }

  reopen(id: ID): Promise<boolean> {
    return this.change(id, { status: 'open' })
  }

  snooze(id: ID, until: Date): Promise<boolean> {
    return this.change(id, { status: 'snoozed', snoozed_until: until.toISOString() })
  }

  async message(
    item: Item,
    run: (api: Client, path: { id: ID; mid: string }) => Promise<Item>,
  ): Promise<boolean> {
    try {
      const answer = await run(this.#api, { id: item.conversation_id, mid: item.id })
      this.#live.timelines.apply([answer])
      return true
    } catch (error) {
      this.fail(error, t('inbox.failed.message'))
      return false
    }
  }

  retry = (item: Item) =>
    this.message(item, (api, path) => api.post('/api/conversations/{id}/messages/{mid}/retry', { path }))

  resolve = (item: Item, sent: boolean) =>
    this.message(item, (api, path) =>
      api.post('/api/conversations/{id}/messages/{mid}/resolve', { path, body: { sent } }),
    )

  edit = (item: Item, text: string, html: string) =>
    this.message(item, (api, path) =>
      api.patch('/api/conversations/{id}/messages/{mid}', { path, body: html ? { text, html } : { text } }),
    )

  remove = (item: Item) =>
    this.message(item, (api, path) => api.delete('/api/conversations/{id}/messages/{mid}', { path }))

  react = (item: Item, emoji: string) =>
    this.message(item, (api, path) =>
      api.put('/api/conversations/{id}/messages/{mid}/reaction', { path, body: { emoji } }),
    )

  whole = (item: Item) =>
    this.message(item, (api, path) => api.get('/api/conversations/{id}/messages/{mid}', { path }))

  fail(error: unknown, what: string): void {
    const words = explain(asApiError(error))
    toasts.bad(what, { detail: [words.title, words.text].filter(Boolean).join('. '), key: what })
  }
}

/** A change as the row will show it. */
function shown(change: Change): Partial<Conversation> {
  const { assignee_id: assignee, ...rest } = change
  const row: Partial<Conversation> = { ...rest }
  if (assignee !== undefined) row.assignee_id = assignee === '' ? null : assignee
  if (rest.status === 'closed')
    Object.assign(row, { closed_at: new Date().toISOString(), waiting_since: null })
  if (rest.status && rest.status !== 'snoozed') row.snoozed_until = null
  return row
}

function restored(before: Change): Change {
  return before.status === 'snoozed' ? before : { status: before.status }
}
