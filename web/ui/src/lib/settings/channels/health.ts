import type { Channel } from '$lib/api/types'

export type Tone = 'neutral' | 'good' | 'warn' | 'bad'

/** Switched off counts before anything that the connection says. */
export function stateOf(c: Channel): { key: Channel['state'] | 'disabled'; tone: Tone } {
  if (!c.enabled) return { key: 'disabled', tone: 'neutral' }
  const tones: Record<Channel['state'], Tone> = {
    up: 'good',
    connecting: 'warn',
    needs_login: 'bad',
    failed: 'bad',
  }
  return { key: c.state, tone: tones[c.state] }
}

export const troubles = [
  { field: 'queued', tone: 'neutral' },
  { field: 'failed', tone: 'bad' },
  { field: 'uncertain', tone: 'warn' },
  { field: 'quarantined', tone: 'warn' },
] as const

/** A row with the newest of what is known about its connection: an answer may arrive behind the event that tells more. */
export function freshest(row: Channel, known: Channel | undefined): Channel {
  if (!known || Date.parse(known.state_at) <= Date.parse(row.state_at)) return row
  const { state, reason, state_at, until } = known
  return { ...row, state, reason, state_at, until }
}
