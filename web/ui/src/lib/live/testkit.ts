import type { Conversation, Item } from '$lib/api/types'

/** Rows for tests; what a case is about is written in the case. */
export function conversation(change: Partial<Conversation> & { id: string }): Conversation {
  return {
    number: change.id,
    version: 1,
    status: 'open',
    priority: 0,
    contact: { id: `c${change.id}`, name: `Contact ${change.id}` },
    channel_id: '1',
    channel_kind: 'telegram',
    assignee_id: null,
    team_id: null,
    tags: [],
    unread: 0,
    in_count: 0,
    read_in_no: 0,
    waiting_since: null,
    snoozed_until: null,
    subject: '',
    last_at: '2026-05-03T10:00:00Z',
    last_text: '',
    last_kind: 'message',
    last_direction: 'in',
    message_count: 0,
    created_at: '2026-05-03T10:00:00Z',
    closed_at: null,
    ...change,
  }
}

export function item(change: Partial<Item> & { id: string }): Item {
  return {
    version: 1,
    seq: '1',
    kind: 'message',
    content: 'text',
    direction: 'in',
    conversation_id: '1',
    channel_id: '1',
    channel_kind: 'telegram',
    author: { kind: 'contact', id: 'c1', name: 'Sara' },
    text: '',
    truncated: false,
    html: '',
    subject: '',
    data: {},
    attachments: [],
    status: 'received',
    error: '',
    reply_to: null,
    reactions: [],
    album: '',
    in_no: 0,
    history: false,
    send_at: null,
    edited_at: null,
    deleted_at: null,
    at: '2026-05-03T10:00:00Z',
    raw_url: null,
    revisions: 0,
    ...change,
  }
}

/** A small generator of repeatable chance (mulberry32): a failing seed can be run again. */
export function chance(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let x = Math.imul(a ^ (a >>> 15), 1 | a)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}
