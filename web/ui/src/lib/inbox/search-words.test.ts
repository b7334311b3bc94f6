import { describe, expect, it } from 'vitest'
import { hasWord, toggleWord } from './search-words'

describe('the words of the search box', () => {
  it.each([
    ['', 'has:photo', 'has:photo '],
    ['seats', 'has:photo', 'seats has:photo '],
    ['seats has:photo', 'has:photo', 'seats '],
    ['has:photo ', 'has:photo', ''],
    ['has:photo', 'has:link', 'has:photo has:link '],
    ['after:7d seats', 'after:1m', 'seats after:1m '],
    ['"two words" from:"Anna Lee"', 'from:me', '"two words" from:me '],
    ['from:"never closed', 'has:file', 'from:"never closed has:file '],
  ])('%j with %s is %j', (words, word, want) => {
    expect(toggleWord(words, word)).toBe(want)
  })

  it('knows what is in', () => {
    expect(hasWord('a has:photo b', 'has:photo')).toBe(true)
    expect(hasWord('"has:photo" b', 'has:photo')).toBe(false)
    expect(hasWord('has:photos', 'has:photo')).toBe(false)
  })
})
