import { ApiError } from '$lib/api/errors'
import type { Item, Locale } from '$lib/api/types'

export interface Letter {
  html: string
  /** How many pictures from elsewhere it leaves out. */
  blocked: number
}

export function letterUrl(item: Pick<Item, 'id' | 'conversation_id'>): string {
  return `/api/conversations/${item.conversation_id}/messages/${item.id}/body`
}

/**
 * The page of an e-mail, for a frame. It is fetched here and not by the frame, which has no cookie of ours and could not
 * say that it failed.
 */
export async function loadLetter(
  item: Pick<Item, 'id' | 'conversation_id'>,
  look: { images: boolean; dark: boolean; lang: Locale },
  signal: AbortSignal,
): Promise<Letter> {
  const query = new URLSearchParams({
    images: look.images ? '1' : '0',
    theme: look.dark ? 'dark' : 'light',
    lang: look.lang,
  })
  let response: Response
  try {
    response = await fetch(`${letterUrl(item)}?${query}`, { credentials: 'same-origin', signal })
  } catch (cause) {
    throw signal.aborted ? cause : ApiError.network(cause)
  }
  if (!response.ok) throw await ApiError.from(response)
  return { html: await response.text(), blocked: Number(response.headers.get('X-Blocked-Images') ?? 0) }
}
