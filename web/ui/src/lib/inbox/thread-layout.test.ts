import { describe, expect, it } from 'vitest'
import { item } from '$lib/live/testkit'
import { firstUnreadOf, layout, type ThreadRow } from './thread-layout'

const shape = (rows: ThreadRow[]) =>
  rows.map((row) => {
    switch (row.kind) {
      case 'message':
        return `${row.item.id}${row.joined ? '+' : ''}${row.tail ? '.' : ''}${row.album.length > 1 ? `[${row.album.length}]` : ''}`
      case 'system':
        return `system(${row.items.map((i) => i.id).join(',')})`
      default:
        return row.kind
    }
  })
const at = (minute: number, day = 3) => new Date(2026, 4, day, 10, minute).toISOString()

describe('layout', () => {
  it('joins what one person says in a few minutes and puts one line under it', () => {
    const rows = layout(
      [
        item({ id: 'a', at: at(0) }),
        item({ id: 'b', at: at(1) }),
        item({ id: 'c', at: at(30) }),
        item({
          id: 'd',
          at: at(31),
          direction: 'out',
          author: { kind: 'agent', id: '1', name: 'N' },
          status: 'sent',
        }),
      ],
      null,
    )
    expect(shape(rows)).toEqual(['day', 'a', 'b+.', 'c.', 'd.'])
  })

  it('starts a day with its name and shows where the unread begins', () => {
    const rows = layout(
      [item({ id: 'a', at: at(0) }), item({ id: 'b', at: at(0, 4) }), item({ id: 'c', at: at(1, 4) })],
      'c',
    )
    expect(shape(rows)).toEqual(['day', 'a.', 'day', 'b.', 'unread', 'c.'])
  })

  it('folds system lines together', () => {
    const event = (id: string) => item({ id, kind: 'event', at: at(0) })
    const rows = layout([event('a'), event('b'), item({ id: 'c', at: at(0) }), event('d')], null)
    expect(shape(rows)).toEqual(['day', 'system(a,b)', 'c.', 'system(d)'])
  })

  it('keeps albums together', () => {
    const photo = (id: string) => item({ id, content: 'photo', album: 'x', at: at(0) })
    expect(shape(layout([photo('a'), photo('b'), photo('c'), item({ id: 'd', at: at(0) })], null))).toEqual([
      'day',
      'a[3]',
      'd+.',
    ])
  })

  it('hides what was taken back before it went', () => {
    const out = item({ id: 'a', direction: 'out', status: 'queued', deleted_at: at(1) })
    expect(layout([out], null)).toEqual([])
  })

  it('keeps the line of a message that failed', () => {
    const out = (id: string, status: 'failed' | 'sent') => item({ id, direction: 'out', status, at: at(0) })
    expect(shape(layout([out('a', 'failed'), out('b', 'sent')], null))).toEqual(['day', 'a.', 'b+.'])
  })
})

it('finds the first unread of each conversation by number', () => {
  const items = [
    item({ id: 'a', in_no: 4, conversation_id: '1' }),
    item({ id: 'b', in_no: 1, conversation_id: '2' }),
    item({ id: 'c', in_no: 5, conversation_id: '1' }),
  ]
  expect(firstUnreadOf(items, (id) => (id === '1' ? 4 : 1))).toBe('c')
  expect(firstUnreadOf(items, () => 9)).toBeNull()
})
