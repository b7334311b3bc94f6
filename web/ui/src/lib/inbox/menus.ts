import type { ID } from '$lib/api/types'
import { fmt } from '$lib/i18n/format.svelte'
import { t } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import type { MenuItem } from '$lib/ui'
import { statusDot } from '$lib/ui/status'
import CalendarClock from '@lucide/svelte/icons/calendar-clock'
import UserRoundX from '@lucide/svelte/icons/user-round-x'
import { laterTimes } from './later'

/** Everybody a conversation can be given to: me first, then those who are here. */
export function assignItems(
  live: Live,
  current: ID | null | undefined,
  pick: (agent: ID | null) => void,
): MenuItem[] {
  const rank = { online: 0, busy: 1, away: 2, off: 3 }
  const status = (id: ID) => live.people.agents.get(id) ?? live.directory.agents.get(id)?.status ?? 'off'
  const others = live.directory.agents.list
    .filter((agent) => !agent.disabled && agent.id !== live.me && agent.role !== 'auditor')
    .sort((a, b) => rank[status(a.id)] - rank[status(b.id)] || a.name.localeCompare(b.name))
  return [
    {
      label: t('inbox.assign.me'),
      dot: statusDot[status(live.me)],
      checked: current === live.me,
      onselect: () => pick(live.me),
    },
    {
      label: t('inbox.assign.nobody'),
      icon: UserRoundX,
      checked: current === null,
      onselect: () => pick(null),
    },
    ...(others.length > 0 ? (['separator'] as const) : []),
    ...others.map((agent) => ({
      label: agent.name,
      dot: statusDot[status(agent.id)],
      checked: agent.id === current,
      onselect: () => pick(agent.id),
    })),
  ]
}

/** Moments to choose from, and the way to name another. */
export function laterItems(kind: 'snooze' | 'send', pick: (at: Date) => void, other: () => void): MenuItem[] {
  return [
    { heading: t(kind === 'snooze' ? 'inbox.later.snooze_title' : 'inbox.later.send_title') },
    ...laterTimes(new Date(), kind).map((later) => ({
      label: t(`inbox.later.${later.key}`),
      hint: fmt.dateTime(later.at),
      onselect: () => pick(later.at),
    })),
    'separator' as const,
    { label: t('inbox.later.other'), icon: CalendarClock, onselect: other },
  ]
}
