import { describe, expect, it } from 'vitest'
import { strength } from '$lib/auth/strength'
import { readable } from './channels/raw'
import { openAt, summary } from './hours/week'
import { describe as agent } from './me/user-agent'

describe('working hours', () => {
  const office = {
    timezone: 'Africa/Addis_Ababa', // UTC+3, no summer time
    week: [1, 2, 3, 4, 5].map((day) => ({ day, from: '09:00', to: '18:00' })),
    holidays: ['2026-11-24'],
  }

  it('are judged by their own clock', () => {
    expect(openAt(office, new Date('2026-11-23T06:00:00Z'))).toBe(true) // Monday 09:00
    expect(openAt(office, new Date('2026-11-23T05:59:00Z'))).toBe(false)
    expect(openAt(office, new Date('2026-11-23T15:00:00Z'))).toBe(false) // 18:00
    expect(openAt(office, new Date('2026-11-24T08:00:00Z'))).toBe(false) // the holiday
    expect(openAt(office, new Date('2026-11-22T08:00:00Z'))).toBe(false) // Sunday
  })

  it('go over midnight with the day on which they start', () => {
    const night = {
      timezone: 'UTC',
      week: [{ day: 1, from: '22:00', to: '02:00' }],
      holidays: [] as string[],
    }
    expect(openAt(night, new Date('2026-11-23T23:00:00Z'))).toBe(true)
    expect(openAt(night, new Date('2026-11-24T01:59:00Z'))).toBe(true)
    expect(openAt(night, new Date('2026-11-24T02:00:00Z'))).toBe(false)
    expect(openAt(night, new Date('2026-11-23T01:00:00Z'))).toBe(false)
  })

  it('without times are always open, and of an unknown zone nobody knows', () => {
    expect(openAt({ timezone: 'UTC', week: [], holidays: [] }, new Date())).toBe(true)
    expect(openAt({ ...office, timezone: 'Nowhere/Nothing' }, new Date())).toBeNull()
  })

  it('are summed up by days with the same times', () => {
    const week = [
      ...office.week,
      { day: 6, from: '09:00', to: '13:00' },
      { day: 1, from: '07:00', to: '08:00' },
    ]
    expect(summary(week)).toEqual([
      { from: 1, to: 1, spans: '07:00–08:00, 09:00–18:00' },
      { from: 2, to: 5, spans: '09:00–18:00' },
      { from: 6, to: 6, spans: '09:00–13:00' },
    ])
  })
})

describe('strength of a password', () => {
  it('counts length most, and takes back runs and repeats', () => {
    expect(strength('short')).toBe(0)
    expect(strength('aaaaaaaaaaaaaaaa')).toBe(1)
    expect(strength('abababababababab')).toBe(1)
    expect(strength('abcdefghijklmnop')).toBeLessThan(3)
    expect(strength('correct horse battery staple')).toBe(4)
    expect(strength('ትክክለኛ ፈረስ ባትሪ ዋና ነገር')).toBeGreaterThanOrEqual(3)
    expect(strength('12345678', 8)).toBeGreaterThan(0)
  })
})

describe('small words', () => {
  it('knows browsers by name', () => {
    const chrome =
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'
    expect(agent(chrome)).toEqual({ browser: 'Chrome', system: 'Linux', mobile: false })
    expect(agent('Mozilla/5.0 (iPhone; CPU iPhone OS 18_1) Version/18.1 Mobile/15E148 Safari/604.1')).toEqual(
      {
        browser: 'Safari',
        system: 'iOS',
        mobile: true,
      },
    )
    expect(agent('curl/8.5')).toBeNull()
  })

  it('shows raw data as what it is', () => {
    expect(readable(btoa('{"a":1}'))).toBe('{\n  "a": 1\n}')
    expect(readable(btoa('plain'))).toBe('plain')
    expect(readable('%%%')).toBe('%%%')
  })
})
