import type { Notice } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'
import { href } from '$lib/router.svelte'

/** What happened, in a line. */
export function noticeWords(n: Notice): string {
  if (n.kind === 'message') return t('common.notify.message', { count: n.times })
  if (n.kind === 'queue') return t('common.notify.queue', { count: n.times })
  return n.actor ? t(`common.notify.${n.kind}_by`, { name: n.actor }) : t(`common.notify.${n.kind}`)
}

/** Where it is looked at: in the list in which it stands. */
export function noticeHref(n: Pick<Notice, 'kind' | 'conversation_id'>): string {
  const view = n.kind === 'mention' ? 'mentions' : n.kind === 'queue' ? 'unassigned' : 'mine'
  return href({ name: 'inbox', view, id: n.conversation_id })
}
