import { describe, expect, it } from 'vitest'
import { meant, triggerBefore } from './trigger'
import { expand, firstName } from './variables'

describe('what asks for suggestions', () => {
  it.each([
    ['/', { sign: '/', word: '' }],
    ['Hello /pri', { sign: '/', word: 'pri' }],
    ['line\n@Аня', { sign: '@', word: 'Аня' }],
    ['\u00a0/ሰ', { sign: '/', word: 'ሰ' }],
  ])('%j does', (text, want) => expect(triggerBefore(text)).toEqual(want))

  it.each(['', 'and/or', 'me@shop.et', 'https://', 'a /b/c', '/price ', '@' + 'x'.repeat(50)])(
    '%j does not',
    (text) => expect(triggerBefore(text)).toBeNull(),
  )

  it('is answered by the beginning of any word, whatever its case or accents', () => {
    expect(meant('beK', 'Sara Bekele')).toBe(true)
    expect(meant('ele', 'Sara Bekele')).toBe(false)
    expect(meant('zoe', 'Zoë')).toBe(true)
    expect(meant('', 'anything')).toBe(true)
    expect(meant('delivery', 'late-delivery', 'x')).toBe(true)
  })
})

describe('variables of a canned answer', () => {
  const values = {
    'contact.name': '<b>Sara</b> {{agent.name}}',
    'contact.first_name': 'Sara',
    'agent.name': 'Tom',
    'conversation.number': '17',
  }

  it('are replaced once, and what comes in stays text', () => {
    expect(expand('Dear {{contact.name}}, {{ agent.name }} here (no. {{conversation.number}})', values)).toBe(
      'Dear <b>Sara</b> {{agent.name}}, Tom here (no. 17)',
    )
  })

  it('leave what is none of them as it is', () => {
    expect(expand('{{contact.phone}} {{constructor}} {agent.name} {{ }}', values)).toBe(
      '{{contact.phone}} {{constructor}} {agent.name} {{ }}',
    )
  })

  it('know a first name', () => {
    expect(firstName('  Sara  Bekele')).toBe('Sara')
    expect(firstName('')).toBe('')
  })
})
