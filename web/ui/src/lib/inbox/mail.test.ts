import { describe, expect, it } from 'vitest'
import type { Item, MailData } from '$lib/api/types'
import {
  answerTo,
  forwardSubject,
  frameHeight,
  mailOf,
  parseMailboxes,
  partsOf,
  replySubject,
  validAddress,
  verdictOf,
} from './mail'

const box = (address: string, name = '') => ({ name, address })

function letter(email: Partial<MailData>, direction: 'in' | 'out' = 'in'): Item {
  return { direction, data: { email } } as unknown as Item
}

describe('partsOf', () => {
  it.each([
    ['Yes.\n\n-- \nSara\n\n> old', 15, 6, { said: 'Yes.', signature: '-- \nSara', quote: '> old' }],
    ['Yes.', -1, -1, { said: 'Yes.', signature: '', quote: '' }],
    ['👍👍 ok\n> old', 6, -1, { said: '👍👍 ok', signature: '', quote: '> old' }],
    ['> only passed on', 0, -1, { said: '> only passed on', signature: '', quote: '' }],
    ['Yes\n> old\n-- \nHe', 4, 10, { said: 'Yes', signature: '', quote: '> old\n-- \nHe' }],
    ['short', 99, 99, { said: 'short', signature: '', quote: '' }],
  ])('%j', (text, quote_at, signature_at, parts) => {
    expect(partsOf(text, { quote_at, signature_at })).toEqual(parts)
  })
})

describe('verdictOf', () => {
  it.each([
    [null, false, 'unknown'],
    [{ spf: 'pass', dkim: 'pass', dmarc: 'pass', by: 'mx' }, false, 'pass'],
    [{ spf: 'pass', dkim: 'none', dmarc: 'fail', by: 'mx' }, false, 'fail'],
    [{ spf: 'pass', dkim: 'none', dmarc: 'none', by: 'mx' }, true, 'fail'],
    [{ spf: 'none', dkim: 'none', dmarc: 'none', by: 'mx' }, false, 'unknown'],
    [{ spf: 'softfail', dkim: 'fail', dmarc: 'none', by: 'mx' }, false, 'fail'],
  ] as const)('%j', (auth, spoofable, verdict) => {
    expect(verdictOf(mailOf(letter({ auth, spoofable }))!)).toBe(verdict)
  })
})

describe('answerTo', () => {
  const own = ['sales@hub.et']
  const came = letter({
    from: box('sara@a.et', 'Sara'),
    to: [box('Sales@hub.et'), box('tom@b.et')],
    cc: [box('boss@a.et'), box('sara@a.et')],
    reply_to: [],
  })
  it('answers the sender', () => {
    expect(answerTo(came, false, own)).toEqual({ to: [box('sara@a.et', 'Sara')], cc: [], bcc: [] })
  })
  it('answers everybody but us, each once', () => {
    expect(answerTo(came, true, own)).toEqual({
      to: [box('sara@a.et', 'Sara'), box('tom@b.et')],
      cc: [box('boss@a.et')],
      bcc: [],
    })
  })
  it('follows Reply-To', () => {
    const list = letter({ from: box('sara@a.et'), reply_to: [box('desk@a.et')] })
    expect(answerTo(list, false, own).to).toEqual([box('desk@a.et')])
  })
  it('answers our own letter to whom it went, and forgets the blind copies', () => {
    const ours = letter(
      { from: box('sales@hub.et'), to: [box('sara@a.et')], cc: [box('tom@b.et')], bcc: [box('x@y.et')] },
      'out',
    )
    expect(answerTo(ours, true, own)).toEqual({ to: [box('sara@a.et')], cc: [box('tom@b.et')], bcc: [] })
  })
})

it('subjects get one prefix, whatever language the last one had', () => {
  expect(replySubject('Re: AW: Отв: Offer')).toBe('Re: Offer')
  expect(replySubject('Offer')).toBe('Re: Offer')
  expect(replySubject('')).toBe('Re:')
  expect(forwardSubject('RE[2]: Offer')).toBe('Fwd: Offer')
  expect(replySubject('Report: May')).toBe('Re: Report: May')
})

describe('parseMailboxes', () => {
  it.each([
    ['sara@a.et', [box('sara@a.et')], ''],
    ['Sara M <sara@a.et>; tom@b.et', [box('sara@a.et', 'Sara M'), box('tom@b.et')], ''],
    ['"Mekonnen, Sara" <sara@a.et>', [box('sara@a.et', 'Mekonnen, Sara')], ''],
    ['mailto:sara@a.et', [box('sara@a.et')], ''],
    ['sara, tom@b.et', [box('tom@b.et')], 'sara'],
    ['a@b\r\nBcc: x@y.et', [], 'a@b, Bcc: x@y.et'],
    ['почта@пример.рф', [box('почта@пример.рф')], ''],
  ])('%j', (text, found, rest) => expect(parseMailboxes(text)).toEqual({ found, rest }))
  it.each(['', 'sara', 'sara@', '@a.et', 'a b@c.et', 'a@b@c.et', 'a@b', 'x'.repeat(250) + '@a.et'])(
    'refuses %j',
    (text) => expect(validAddress(text)).toBe(false),
  )
})

it('a frame is as high as its text, within reason', () => {
  expect(frameHeight('hi')).toBe(140)
  expect(frameHeight('x\n'.repeat(10))).toBe(60 + 11 * 22)
  expect(frameHeight('x'.repeat(100_000))).toBe(560)
})
