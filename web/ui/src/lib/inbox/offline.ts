import type { Channel } from '$lib/api/types'
import { t } from '$lib/i18n/index.svelte'

/** Why nothing goes out through a channel at the moment; '' = it does. */
export function offline(channel: Channel): string {
  if (channel.capabilities.receive_only) return t('inbox.composer.one_way')
  if (!channel.enabled) return t('inbox.composer.channel_off')
  if (channel.state === 'up' || channel.state === 'connecting') return ''
  return channel.reason || t('inbox.composer.channel_down')
}
