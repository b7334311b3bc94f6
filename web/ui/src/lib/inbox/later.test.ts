import { expect, it } from 'vitest'
import { laterTimes, toLocalInput } from './later'

const names = (now: Date, kind: 'snooze' | 'send') =>
  laterTimes(now, kind).map((l) => `${l.key} ${toLocalInput(l.at)}`)

it('offers what is still ahead', () => {
  expect(names(new Date(2026, 4, 5, 10, 30), 'snooze')).toEqual([
    'in_three_hours 2026-05-05T13:30',
    'this_evening 2026-05-05T18:00',
    'tomorrow 2026-05-06T09:00',
    'monday 2026-05-11T09:00',
    'next_week 2026-05-12T09:00',
  ])
})

it('does not name one day twice', () => {
  // Sunday evening: tomorrow is Monday.
  expect(names(new Date(2026, 4, 3, 20, 0), 'send')).toEqual([
    'in_hour 2026-05-03T21:00',
    'tomorrow 2026-05-04T09:00',
    'next_week 2026-05-10T09:00',
  ])
  // Monday: Monday is a week away.
  expect(names(new Date(2026, 4, 4, 20, 0), 'snooze')).toEqual([
    'in_three_hours 2026-05-04T23:00',
    'tomorrow 2026-05-05T09:00',
    'monday 2026-05-11T09:00',
  ])
})
