import type { Conversation, ID, View, ViewFilter } from '$lib/api/types'
import type { ListQuery } from './list-view.svelte'

/** A list the agent can look at: one of the fixed views, a team's, or a saved one. */
export type ViewKey =
  'mine' | 'unassigned' | 'all' | 'waiting' | 'snoozed' | 'closed' | 'mentions' | `team:${ID}` | `saved:${ID}`

const active = (row: Conversation) => row.status === 'open' || row.status === 'waiting'

/** Whether a conversation belongs to a view: the same rule as the server's, so that rows come and go live. */
export function accepts(view: ViewKey, me: ID): (row: Conversation) => boolean {
  switch (view) {
    case 'mine':
      return (row) => row.assignee_id === me && active(row)
    case 'unassigned':
      return (row) => row.assignee_id === null && active(row)
    case 'all':
      return active
    case 'waiting':
      return (row) => row.status === 'waiting'
    case 'snoozed':
      return (row) => row.status === 'snoozed'
    case 'closed':
      return (row) => row.status === 'closed'
    default: {
      const team = view.slice('team:'.length)
      return (row) => row.team_id === team && active(row)
    }
  }
}

/** Whether a conversation is what a saved view asks for now; the same rule as the server's. */
export function matches(filter: ViewFilter, me: ID, row: Conversation, now = Date.now()): boolean {
  const { status, assignee } = filter
  if (status === 'active' ? !active(row) : row.status !== status) return false
  if (filter.team_id && row.team_id !== filter.team_id) return false
  if (
    assignee === 'none'
      ? row.assignee_id !== null
      : assignee && row.assignee_id !== (assignee === 'me' ? me : assignee)
  )
    return false
  if (filter.channel_id && row.channel_id !== filter.channel_id) return false
  if (filter.tag && !row.tags.includes(filter.tag)) return false
  if (row.priority < filter.priority) return false
  if (filter.unread && row.unread === 0) return false
  if (filter.waiting_minutes === 0) return true
  return row.waiting_since !== null && now - Date.parse(row.waiting_since) >= filter.waiting_minutes * 60_000
}

/** The query of a view. */
export function viewQuery(view: ViewKey, me: ID, saved?: View): ListQuery {
  // Who named me in which note, only the server knows.
  if (view === 'mentions') return { key: view, params: { view }, accepts: null }
  if (view.startsWith('saved:'))
    return {
      key: `${view}@${saved?.version ?? ''}`,
      params: { view },
      accepts: saved ? (row) => matches(saved.filter, me, row) : null,
    }
  return { key: view, params: { view }, accepts: accepts(view, me) }
}

export function isViewKey(value: string): value is ViewKey {
  return (
    ['mine', 'unassigned', 'all', 'waiting', 'snoozed', 'closed', 'mentions'].includes(value) ||
    /^(team|saved):\d+$/.test(value)
  )
}
