import { describe, expect, it } from 'vitest'
import type { Conversation, ViewFilter } from '$lib/api/types'
import { conversation } from './testkit'
import { isViewKey, matches, viewQuery } from './views'

const all: ViewFilter = {
  status: 'active',
  team_id: null,
  assignee: '',
  channel_id: null,
  tag: '',
  priority: 0,
  waiting_minutes: 0,
  unread: false,
}
const now = Date.parse('2026-05-03T12:00:00Z')
const row = (change: Partial<Conversation>) => conversation({ id: '1', ...change })

describe('a saved view', () => {
  it.each<[string, Partial<ViewFilter>, Partial<Conversation>, boolean]>([
    ['active takes open', {}, {}, true],
    ['active takes waiting', {}, { status: 'waiting' }, true],
    ['active leaves closed', {}, { status: 'closed' }, false],
    ['open is open only', { status: 'open' }, { status: 'waiting' }, false],
    ['team', { team_id: '4' }, { team_id: '5' }, false],
    ['team hit', { team_id: '4' }, { team_id: '4' }, true],
    ['me', { assignee: 'me' }, { assignee_id: '9' }, true],
    ['not me', { assignee: 'me' }, { assignee_id: '8' }, false],
    ['none', { assignee: 'none' }, { assignee_id: null }, true],
    ['none taken', { assignee: 'none' }, { assignee_id: '9' }, false],
    ['somebody', { assignee: '8' }, { assignee_id: '8' }, true],
    ['channel', { channel_id: '2' }, { channel_id: '1' }, false],
    ['tag', { tag: 'vip' }, { tags: ['late', 'vip'] }, true],
    ['tag missed', { tag: 'vip' }, { tags: [] }, false],
    ['priority', { priority: 2 }, { priority: 3 }, true],
    ['priority missed', { priority: 2 }, { priority: 1 }, false],
    ['waits long', { waiting_minutes: 30 }, { waiting_since: '2026-05-03T11:30:00Z' }, true],
    ['waits short', { waiting_minutes: 30 }, { waiting_since: '2026-05-03T11:30:01Z' }, false],
    ['waits not', { waiting_minutes: 30 }, { waiting_since: null }, false],
    ['unread', { unread: true }, { unread: 1 }, true],
    ['read', { unread: true }, { unread: 0 }, false],
  ])('%s', (_, filter, change, want) => {
    expect(matches({ ...all, ...filter }, '9', row(change), now)).toBe(want)
  })

  it('is asked anew when it was changed, and only the server knows it before it is here', () => {
    const view = { id: '5', version: 2, agent_id: '9', shared: false, name: 'x', filter: all }
    expect(viewQuery('saved:5', '9').accepts).toBeNull()
    expect(viewQuery('saved:5', '9', view).key).not.toBe(
      viewQuery('saved:5', '9', { ...view, version: 3 }).key,
    )
    expect(isViewKey('saved:5')).toBe(true)
    expect(isViewKey('saved:x')).toBe(false)
  })
})
