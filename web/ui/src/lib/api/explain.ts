import { t, tOr } from '$lib/i18n/index.svelte'
import type { ApiError } from './errors'

/**
 * An error in the reader's words: what happened and what to do. The server's own sentence is shown where it knows
 * more than we do (validation, conflicts); a code that the catalogue knows wins over both.
 */
export function explain(e: ApiError): { title: string; text: string } {
  const own = e.problem.detail || e.problem.title
  if (e.offline) return { title: t('common.error.network.title'), text: t('common.error.network.text') }
  if (e.status === 429)
    return {
      title: t('common.error.too_many.title'),
      text: e.retryAfter
        ? t('common.error.too_many.wait', { count: e.retryAfter })
        : t('common.error.too_many.text'),
    }
  if (e.status >= 500) return { title: t('common.error.server.title'), text: t('common.error.server.text') }
  if (e.code === 'reauth')
    return { title: t('common.error.reauth.title'), text: t('common.error.reauth.text') }
  if (e.status === 403)
    return { title: t('common.error.forbidden.title'), text: t('common.error.forbidden.text') }
  if (e.status === 404)
    return { title: t('common.error.not_found.title'), text: t('common.error.not_found.text') }
  if (e.status === 409 && (e.code === 'conflict' || e.code === 'stale' || e.code === 'version'))
    return { title: t('common.error.conflict.title'), text: t('common.error.conflict.text') }
  if (e.status === -1) return { title: t('common.error.internal.title'), text: own }
  return { title: t('common.error.refused.title'), text: tOr(`common.error.code.${e.code}`, own) }
}
