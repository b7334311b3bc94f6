import { describe, expect, it } from 'vitest'
import { ago, brief, bytes, calendarDays, duration, length, weekday } from './format'

const now = new Date(2026, 10, 23, 15, 0, 0)
const before = (ms: number) => new Date(now.getTime() - ms)
const min = 60_000
const hour = 60 * min

describe('relative times', () => {
  it('are relative up to a day, then a date', () => {
    expect(ago('en', before(10_000), now)).toBe('now')
    expect(ago('en', before(5 * min), now)).toBe('5 minutes ago')
    expect(ago('en', before(3 * hour), now)).toBe('3 hours ago')
    expect(ago('en', before(24 * hour), now)).toBe('yesterday')
    expect(ago('en', new Date(2026, 4, 3), now)).toBe('3 May')
    expect(ago('en', new Date(2025, 4, 3), now)).toBe('3 May 2025')
    expect(ago('en', before(-5 * min), now)).toBe('in 5 minutes')
    expect(ago('ru', before(2 * hour), now)).toBe('2 часа назад')
    expect(ago('am', before(5 * min), now)).toMatch(/5/)
  })

  it('are short at the edge of a row', () => {
    expect(brief('en', before(12 * min), now)).toBe('12 min')
    expect(brief('en', before(3 * hour), now)).toBe('3 hr')
    expect(brief('ru', before(24 * hour), now)).toBe('вчера')
    expect(brief('en', new Date(2026, 10, 3), now)).toBe('3 Nov')
  })

  it('round durations down, never below nothing', () => {
    expect(duration('en', 119_000)).toBe('1 min')
    expect(duration('en', -5)).toBe('0 sec')
    expect(duration('ru', 12_000)).toBe('12 с')
  })
})

describe('other values', () => {
  it('tell lengths and sizes', () => {
    expect(length(86_000)).toBe('1:26')
    expect(length(3_671_000)).toBe('1:01:11')
    expect(bytes('en', 50e6)).toBe('50 MB')
    expect(bytes('en', 1536)).toBe('1.5 kB')
  })

  it('count days by the calendar, not by 24 hours', () => {
    expect(calendarDays(new Date(2026, 10, 22, 23, 59), new Date(2026, 10, 23, 0, 1))).toBe(-1)
    expect(calendarDays(now, now)).toBe(0)
  })

  it('name the days from Monday', () => {
    expect(weekday('en', 1)).toBe('Monday')
    expect(weekday('ru', 7)).toBe('воскресенье')
    expect(weekday('am', 1)).toBe('ሰኞ')
  })
})
