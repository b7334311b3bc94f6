import { render, screen } from '@testing-library/svelte'
import { tick } from 'svelte'
import { beforeAll, expect, it, vi } from 'vitest'
import type { Mailbox } from '$lib/api/types'
import { i18n } from '$lib/i18n/index.svelte'
import AddressField from './address-field.svelte'

beforeAll(() => i18n.start('en'))

function field(value: Mailbox[] = []) {
  const onchange = vi.fn<(value: Mailbox[]) => void>()
  render(AddressField, { label: 'To', value, onchange })
  const input = screen.getByRole<HTMLInputElement>('combobox')
  return {
    onchange,
    input,
    async type(text: string) {
      input.value = text
      input.dispatchEvent(new Event('input', { bubbles: true }))
      await tick()
    },
    async press(key: string) {
      input.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
      await tick()
    },
  }
}

const sara = { name: 'Sara', address: 'sara@a.et' }

it('takes addresses at a comma, keeps what is none, and takes nobody twice', async () => {
  const f = field([sara])
  await f.type('Tom <tom@b.et>, SARA@a.et, nonsense,')
  expect(f.onchange).toHaveBeenCalledWith([sara, { name: 'Tom', address: 'tom@b.et' }])
  expect(f.input.value).toBe('nonsense')
})

it('takes what is typed with Enter, and the last one back with Backspace', async () => {
  const f = field([sara])
  await f.type('tom@b.et')
  await f.press('Enter')
  expect(f.onchange).toHaveBeenLastCalledWith([sara, { name: '', address: 'tom@b.et' }])
  expect(f.input.value).toBe('')
  await f.press('Backspace')
  expect(f.onchange).toHaveBeenLastCalledWith([])
})
