import Bell from '@lucide/svelte/icons/bell'
import Building2 from '@lucide/svelte/icons/building-2'
import CalendarClock from '@lucide/svelte/icons/calendar-clock'
import Database from '@lucide/svelte/icons/database'
import Fingerprint from '@lucide/svelte/icons/fingerprint'
import KeyRound from '@lucide/svelte/icons/key-round'
import MailWarning from '@lucide/svelte/icons/mail-warning'
import MessageSquareText from '@lucide/svelte/icons/message-square-text'
import Radio from '@lucide/svelte/icons/radio'
import ScrollText from '@lucide/svelte/icons/scroll-text'
import ShieldCheck from '@lucide/svelte/icons/shield-check'
import UserRound from '@lucide/svelte/icons/user-round'
import UsersRound from '@lucide/svelte/icons/users-round'
import Waypoints from '@lucide/svelte/icons/waypoints'
import SquareKanban from '@lucide/svelte/icons/square-kanban'
import type { Permission } from '$lib/api/types'
import type { SettingsPage } from '$lib/router.svelte'
import type { IconType } from '$lib/ui'

export interface Entry {
  page: SettingsPage
  icon: IconType
  /** Needed to see the page at all. */
  needs?: Permission
}

/** The order of the house: what one comes for most often first. */
export const groups: { id: 'workspace' | 'people' | 'system' | 'me'; entries: Entry[] }[] = [
  {
    id: 'workspace',
    entries: [
      { page: 'channels', icon: Radio },
      { page: 'canned', icon: MessageSquareText },
      { page: 'trouble', icon: MailWarning },
      { page: 'pipelines', icon: SquareKanban, needs: 'settings.manage' },
      { page: 'general', icon: Building2, needs: 'settings.manage' },
    ],
  },
  {
    id: 'people',
    entries: [
      { page: 'teams', icon: Waypoints },
      { page: 'agents', icon: UsersRound },
      { page: 'hours', icon: CalendarClock },
    ],
  },
  {
    id: 'system',
    entries: [
      { page: 'signin', icon: Fingerprint, needs: 'settings.manage' },
      { page: 'tokens', icon: KeyRound, needs: 'tokens.manage' },
      { page: 'audit', icon: ScrollText, needs: 'audit.read' },
      { page: 'data', icon: Database, needs: 'data.manage' },
    ],
  },
  {
    id: 'me',
    entries: [
      { page: 'profile', icon: UserRound },
      { page: 'notifications', icon: Bell },
      { page: 'security', icon: ShieldCheck },
    ],
  },
]

export const entries: Entry[] = groups.flatMap((g) => g.entries)
