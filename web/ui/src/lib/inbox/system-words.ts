import type { ID, Item } from '$lib/api/types'
import { fmt } from '$lib/i18n/format.svelte'
import { t, tOr } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'

type Named = { id?: ID; name?: string }

/**
 * What a system line says, worded from its data in the reader's language. A kind that this page does not know yet is
 * said in the server's own words.
 */
export function systemWords(item: Item, live: Live): string {
  const { from, to, by } = item.data as { from?: unknown; to?: unknown; by?: unknown }
  const agent = (value: unknown) =>
    nameOf(value, (id) => (id === live.me ? t('common.you') : live.directory.agents.get(id)?.name))
  const team = (value: unknown) => nameOf(value, (id) => live.directory.teams.get(id)?.name)
  const who = agent(by) || (item.author.kind === 'agent' ? item.author.name : '')
  const mine = who === t('common.you') ? '_you' : who ? '' : '_auto'
  const words = (key: string, values: Record<string, unknown> = {}) =>
    tOr(`inbox.event.${key}${mine}`, tOr(`inbox.event.${key}`, item.text, { who, ...values }), {
      who,
      ...values,
    })

  switch (item.data.event) {
    case 'assigned':
    case 'unassigned':
      if (to === null || to === undefined || to === '') return words('unassigned')
      if (same(to, by)) return words('taken')
      return words(same(to, live.me) ? 'assigned_me' : 'assigned', { name: agent(to) })
    case 'status':
      if (item.data.snooze === 'over') return t('inbox.event.snooze_over')
      if (to === 'closed') return words('closed')
      if (to === 'snoozed') {
        const until = item.data.until ?? item.data.snoozed_until
        return until ? words('snoozed_until', { at: fmt.dateTime(String(until)) }) : words('snoozed')
      }
      if (to === 'open' && from === 'closed') return words('reopened')
      return words('status', { status: tOr(`inbox.status.${String(to)}`, String(to)) })
    case 'team':
      return to === null || to === undefined ? words('team_none') : words('team', { name: team(to) })
    case 'priority':
      return words('priority', { priority: tOr(`inbox.priority.${String(to)}`, String(to)) })
    case 'tags':
      return Array.isArray(to) && to.length > 0
        ? words('tags', { tags: fmt.list(to.map(String)) })
        : words('tags_none')
    case 'contact':
      return item.data.lead_id ? t('inbox.event.contact_lead') : t('inbox.event.contact')
    case 'lead':
      return typeof item.data.stage === 'string' || (to as Named | null)?.name
        ? words('lead_stage', { stage: (to as Named | null)?.name ?? item.data.stage })
        : words('lead')
    case 'merged':
      return words('merged', { name: (from as Named | null)?.name ?? item.data.name ?? '' })
    case 'auto_reply':
      return t('inbox.event.auto_reply')
    case 'member': {
      const name = item.author.name || String(item.data.name ?? '')
      return tOr(
        `inbox.event.member_${String(item.data.change ?? item.data.status ?? '')}`,
        item.text || t('inbox.event.member'),
        { name },
      )
    }
    default:
      return item.text || t('inbox.event.unknown')
  }
}

function same(a: unknown, b: unknown): boolean {
  const id = (value: unknown) => (typeof value === 'object' && value !== null ? (value as Named).id : value)
  return id(a) !== undefined && id(a) !== null && String(id(a)) === String(id(b))
}

function nameOf(value: unknown, find: (id: ID) => string | undefined): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'object') return (value as Named).name ?? ''
  return find(String(value)) ?? t('common.unknown')
}
