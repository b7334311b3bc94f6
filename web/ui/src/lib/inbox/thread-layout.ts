import type { ID, Item } from '$lib/api/types'

/** One line of the thread as it is drawn. */
export type ThreadRow =
  | { kind: 'day'; key: string; at: string }
  | { kind: 'unread'; key: string }
  | { kind: 'message'; key: string; item: Item; album: readonly Item[]; joined: boolean; tail: boolean }
  | { kind: 'system'; key: string; items: readonly Item[] }

type MessageRow = Extract<ThreadRow, { kind: 'message' }>

/** Messages of one author within this time read as one paragraph: the line below stands once, under the last. */
const JOIN_MS = 4 * 60_000

/** A message that was taken back before it went out has never been. */
export function vanished(item: Item): boolean {
  return (
    item.deleted_at !== null &&
    item.direction === 'out' &&
    item.kind === 'message' &&
    item.status === 'queued'
  )
}

function speaker(item: Item): string {
  return `${item.kind}:${item.direction}:${item.author.kind}:${item.author.id ?? ''}:${item.channel_id}`
}

/** Something under the bubble needs a line of its own. */
function restless(item: Item): boolean {
  return (
    item.status === 'failed' ||
    item.status === 'uncertain' ||
    item.status === 'queued' ||
    item.send_at !== null
  )
}

function localDay(at: string): string {
  const day = new Date(at)
  return `${day.getFullYear()}-${day.getMonth() + 1}-${day.getDate()}`
}

export function layout(items: readonly Item[], firstUnread: string | null): ThreadRow[] {
  const rows: ThreadRow[] = []
  let day = ''
  let previous: MessageRow | null = null
  let system: Extract<ThreadRow, { kind: 'system' }> & { items: Item[] } = {
    kind: 'system',
    key: '',
    items: [],
  }
  let albumOf: (MessageRow & { album: Item[] }) | null = null

  for (const item of items) {
    if (vanished(item)) continue
    const today = localDay(item.at)
    if (today !== day) {
      day = today
      rows.push({ kind: 'day', key: `day:${today}`, at: item.at })
      previous = null
      albumOf = null
      system = { kind: 'system', key: '', items: [] }
    }
    if (item.id === firstUnread) {
      rows.push({ kind: 'unread', key: 'unread' })
      previous = null
      albumOf = null
      system = { kind: 'system', key: '', items: [] }
    }
    if (item.kind === 'event') {
      if (system.items.length === 0) {
        system = { kind: 'system', key: `system:${item.id}`, items: [] }
        rows.push(system)
      }
      system.items.push(item)
      previous = null
      albumOf = null
      continue
    }
    system = { kind: 'system', key: '', items: [] }
    if (
      albumOf &&
      item.album !== '' &&
      albumOf.item.album === item.album &&
      speaker(albumOf.item) === speaker(item)
    ) {
      albumOf.album.push(item)
      continue
    }
    const joined: boolean =
      previous !== null &&
      speaker(previous.item) === speaker(item) &&
      Date.parse(item.at) - Date.parse(previous.item.at) < JOIN_MS
    if (joined && previous && !restless(previous.item) && previous.item.status === item.status)
      previous.tail = false
    const row: MessageRow & { album: Item[] } = {
      kind: 'message',
      key: item.id,
      item,
      album: [item],
      joined,
      tail: true,
    }
    rows.push(row)
    previous = row
    albumOf = row
  }
  return rows
}

/** The first customer's message after my read marker. */
export function firstUnreadOf(items: readonly Item[], readInNo: (conversation: ID) => number): string | null {
  for (const item of items) {
    if (item.direction !== 'in' || item.in_no === 0 || item.kind !== 'message' || item.history) continue
    if (item.in_no > readInNo(item.conversation_id)) return item.id
  }
  return null
}
