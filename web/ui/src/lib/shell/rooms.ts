import ContactRound from '@lucide/svelte/icons/contact-round'
import Inbox from '@lucide/svelte/icons/inbox'
import Kanban from '@lucide/svelte/icons/square-kanban'
import Settings from '@lucide/svelte/icons/settings'
import type { Key } from '$lib/i18n/index.svelte'
import type { Route } from '$lib/router.svelte'
import type { BadgeRoom } from '$lib/ui/badges.svelte'
import type { IconType } from '$lib/ui/icon'

export interface Room {
  id: BadgeRoom
  label: Key
  icon: IconType
  to: Route
  /** "g i" */
  keys: string
  /** Stands at the lower end of the rail. */
  low?: boolean
}

/** The rail's entries, in the order of the house. An entry stands here from the day its room works. */
export const rooms: Room[] = [
  { id: 'inbox', label: 'common.nav.inbox', icon: Inbox, to: { name: 'inbox', view: 'mine' }, keys: 'g i' },
  { id: 'contacts', label: 'common.nav.contacts', icon: ContactRound, to: { name: 'contacts' }, keys: 'g c' },
  { id: 'leads', label: 'common.nav.leads', icon: Kanban, to: { name: 'leads', view: 'board' }, keys: 'g l' },
  {
    id: 'settings',
    label: 'common.nav.settings',
    icon: Settings,
    to: { name: 'settings', page: '' },
    keys: 'g s',
    low: true,
  },
]
