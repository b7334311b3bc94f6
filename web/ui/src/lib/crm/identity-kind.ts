import { t, tOr } from '$lib/i18n/index.svelte'

/** The channel whose mark an identity wears. */
export function markOf(kind: string): string {
  if (kind.startsWith('phone') || kind === 'sip') return 'sip'
  if (kind.startsWith('whatsapp')) return 'whatsapp'
  if (kind === 'visitor') return 'webchat'
  return kind
}

/** An identity as people write it. */
export function addressOf(identity: { kind: string; value: string; display: string }): string {
  const text = identity.display || identity.value
  return identity.kind === 'telegram' && /^[a-z]\w{3,31}$/i.test(text) ? `@${text}` : text
}

export function kindWord(kind: string): string {
  if (kind.startsWith('external:')) return kind.slice('external:'.length)
  return tOr(`crm.identity.kind.${kind}`, t('crm.identity.kind.other'))
}

/** The kinds that a person can be given by hand. */
export const manualKinds = ['phone', 'email', 'telegram'] as const
