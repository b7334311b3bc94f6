import type { Conversation, Item } from '$lib/api/types'
import { t, tOr } from '$lib/i18n/index.svelte'

/** What kind of thing it is, in a word: "Photo", "Voice message". */
export function contentWord(content: string): string {
  return tOr(`inbox.content.${content}`, t('inbox.content.unknown'))
}

/** A message in one line: its words, else what it is. */
export function gist(item: Pick<Item, 'text' | 'content' | 'deleted_at' | 'attachments'>): string {
  if (item.deleted_at) return t('inbox.message.deleted')
  const text = item.text.replace(/\s+/g, ' ').trim()
  if (text && item.content !== 'location') return text
  const file = item.attachments.find((a) => a.kind === 'document')
  return file?.name || contentWord(item.content)
}

/** The last line of a list row. */
export function lastLine(row: Conversation): string {
  const text = row.last_text.replace(/\s+/g, ' ').trim()
  // A letter is known by what it is about.
  if (row.subject && row.last_kind !== 'note') return text ? `${row.subject}: ${text}` : row.subject
  if (row.last_kind === 'message' || row.last_kind === 'text') return text
  const word = contentWord(row.last_kind)
  // The words of a place are its coordinates: of no use in a list.
  if (text === '' || row.last_kind === 'location' || row.last_kind === 'dice') return word
  return ['contact', 'poll', 'venue', 'note', 'form'].includes(row.last_kind) ? `${word}: ${text}` : text
}
