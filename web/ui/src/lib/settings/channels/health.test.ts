import { expect, it } from 'vitest'
import type { Channel } from '$lib/api/types'
import { freshest } from './health'

const row = (state: Channel['state'], at: string, name = 'Bot') =>
  ({ id: '1', name, state, reason: '', state_at: at, until: null }) as Channel

it('keeps the newer state of a channel whose answer was overtaken by an event', () => {
  const answer = row('connecting', '2030-01-01T10:00:00Z', 'Renamed')
  const event = row('up', '2030-01-01T10:00:01Z')
  expect(freshest(answer, event)).toMatchObject({ name: 'Renamed', state: 'up' })
  expect(freshest(event, answer)).toBe(event)
  expect(freshest(answer, undefined)).toBe(answer)
})
