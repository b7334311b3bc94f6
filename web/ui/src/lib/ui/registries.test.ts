import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Palette, score, type Command } from './palette.svelte'
import { Problems } from './problems.svelte'
import { Toasts } from './toasts.svelte'

describe('palette', () => {
  const command = (label: string, more: Partial<Command> = {}): Command => ({
    id: label,
    label,
    group: 'g',
    run: () => {},
    ...more,
  })

  it('matches every word, the beginning best', () => {
    expect(score('ch', command('Channels'))).toBeGreaterThan(score('ch', command('Add a channel')))
    expect(score('telegram add', command('Add a channel', { words: 'telegram' }))).toBeGreaterThan(0)
    expect(score('telegram nothing', command('Add a channel', { words: 'telegram' }))).toBe(0)
    expect(score('настр', command('Настройки'))).toBeGreaterThan(0)
    expect(score('(', command('x'))).toBe(0)
  })

  it('shows what is registered and possible', () => {
    const p = new Palette()
    const release = p.register([command('One'), command('Two', { when: () => false })])
    p.register(() => [command('Three')])
    expect(p.match('').map((c) => c.label)).toEqual(['Three', 'One'])
    release()
    expect(p.match('').map((c) => c.label)).toEqual(['Three'])
  })
})

describe('problems', () => {
  it('put the gravest first and are replaced by what they are about', () => {
    const p = new Problems()
    p.set({ id: 'live', severity: 'warn', text: 'a', weight: 100 })
    p.set({ id: 'channel:1', severity: 'bad', text: 'b' })
    expect(p.all.map((i) => i.id)).toEqual(['channel:1', 'live'])
    p.replace('channel:', [{ id: 'channel:2', severity: 'bad', text: 'c' }])
    expect(p.all.map((i) => i.id)).toEqual(['channel:2', 'live'])
    p.clear('live')
    p.clear('never')
    expect(p.all).toHaveLength(1)
  })
})

describe('toasts', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('go by themselves, later with an action, and wait under the pointer', () => {
    const toasts = new Toasts()
    toasts.show({ text: 'plain' })
    const undo = toasts.show({ text: 'undo', action: { label: 'Undo', run: () => {} } })
    vi.advanceTimersByTime(5000)
    expect(toasts.items.map((t) => t.text)).toEqual(['undo'])
    toasts.pause(undo)
    vi.advanceTimersByTime(60_000)
    expect(toasts.items).toHaveLength(1)
    toasts.resume(undo)
    vi.advanceTimersByTime(9000)
    expect(toasts.items).toHaveLength(0)
  })

  it('take the place of the one with the same key, and are four at most', () => {
    const toasts = new Toasts()
    toasts.show({ text: 'a', key: 'k' })
    toasts.show({ text: 'b', key: 'k' })
    expect(toasts.items.map((t) => t.text)).toEqual(['b'])
    for (const text of ['1', '2', '3', '4']) toasts.show({ text })
    expect(toasts.items.map((t) => t.text)).toEqual(['1', '2', '3', '4'])
  })
})
