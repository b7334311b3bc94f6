import type { Conversation } from '$lib/api/types'

/** From here on a waiting customer is marked, and from there on he is late. */
const SOON_MS = 5 * 60_000
const LATE_MS = 15 * 60_000

export type Patience = 'fine' | 'soon' | 'late'

export function patience(row: Pick<Conversation, 'waiting_since' | 'status'>, now: Date): Patience {
  if (!row.waiting_since || row.status === 'closed' || row.status === 'snoozed') return 'fine'
  const waited = now.getTime() - Date.parse(row.waiting_since)
  return waited >= LATE_MS ? 'late' : waited >= SOON_MS ? 'soon' : 'fine'
}
