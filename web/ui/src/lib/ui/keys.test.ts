import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Keys } from './keys.svelte'
import { keyLabel } from './key-names'

let keys: Keys
let stop: () => void
beforeEach(() => {
  vi.useFakeTimers()
  keys = new Keys()
  stop = keys.listen(document)
})
afterEach(() => {
  stop()
  vi.useRealTimers()
  document.body.innerHTML = ''
})

function press(key: string, init: KeyboardEventInit = {}, on: Element = document.body): KeyboardEvent {
  const e = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...init })
  on.dispatchEvent(e)
  return e
}
const shortcut = (chord: string, more = {}) => {
  const run = vi.fn()
  keys.register([{ keys: chord, label: chord, group: 'g', run, ...more }])
  return run
}

it('runs the latest registration of a chord and forgets it again', () => {
  const first = shortcut('j')
  const second = vi.fn()
  const release = keys.register([{ keys: 'j', label: '', group: '', run: second }])
  press('j')
  expect(second).toHaveBeenCalledOnce()
  expect(first).not.toHaveBeenCalled()
  release()
  press('j')
  expect(first).toHaveBeenCalledOnce()
})

it('leaves typing alone, but for what says that it works in fields', () => {
  document.body.innerHTML = '<input>'
  const input = document.querySelector('input')!
  const j = shortcut('j')
  const k = shortcut('mod+k', { inFields: true })
  press('j', {}, input)
  press('k', { ctrlKey: true }, input)
  expect(j).not.toHaveBeenCalled()
  expect(k).toHaveBeenCalledOnce()
})

it('knows two presses after another, in time', () => {
  const gi = shortcut('g i')
  press('g')
  press('i')
  expect(gi).toHaveBeenCalledOnce()
  press('g')
  vi.advanceTimersByTime(2000)
  press('i')
  expect(gi).toHaveBeenCalledOnce()
})

it('finds a key by its place on other layouts', () => {
  const j = shortcut('j')
  press('о', { code: 'KeyJ' })
  expect(j).toHaveBeenCalledOnce()
})

it('reads ? as it is, and shift with letters', () => {
  const help = shortcut('?')
  const up = shortcut('shift+a')
  press('?', { shiftKey: true })
  press('A', { shiftKey: true })
  expect(help).toHaveBeenCalledOnce()
  expect(up).toHaveBeenCalledOnce()
})

it('is silent under a dialog', () => {
  const j = shortcut('j')
  document.body.innerHTML = '<div role="dialog" data-state="open"></div>'
  press('j')
  expect(j).not.toHaveBeenCalled()
})

it('names keys as this machine does', () => {
  expect(keyLabel('mod+k', false)).toBe('Ctrl K')
  expect(keyLabel('mod+enter', true)).toBe('⌘↵')
  expect(keyLabel('g i', false)).toBe('G I')
})
