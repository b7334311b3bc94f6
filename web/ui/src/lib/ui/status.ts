import type { AgentStatus } from '$lib/api/types'

export const statuses = ['online', 'busy', 'away', 'off'] as const satisfies readonly AgentStatus[]

/** The dot's colour; the word always stands beside it or in its title. */
export const statusDot: Record<AgentStatus, string> = {
  online: 'bg-good',
  busy: 'bg-bad',
  away: 'bg-warn',
  off: 'bg-ink-3',
}
