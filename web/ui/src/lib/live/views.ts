import type { Conversation, ID } from '$lib/api/types'
import type { ListQuery } from './list-view.svelte'

/** A list the agent can look at: one of the fixed views, or a team's. */
export type ViewKey = 'mine' | 'unassigned' | 'all' | 'waiting' | 'snoozed' | 'closed' | `team:${ID}`

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

/** The query of a view. */
export function viewQuery(view: ViewKey, me: ID): ListQuery {
  return { key: view, params: { view }, accepts: accepts(view, me) }
}

export function isViewKey(value: string): value is ViewKey {
  return (
    ['mine', 'unassigned', 'all', 'waiting', 'snoozed', 'closed'].includes(value) || /^team:\d+$/.test(value)
  )
}
