import { fireEvent, render, screen, waitFor } from '@testing-library/svelte'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { i18n } from '$lib/i18n/index.svelte'
import Harness from './components-harness.svelte'
import { confirm } from './confirm.svelte'
import { hue, initials } from './initials'
import { toasts } from './toasts.svelte'

beforeAll(() => i18n.start('en'))

const state = () =>
  JSON.parse(screen.getByRole('status', { hidden: true }).textContent!) as Record<string, unknown>

describe('fields', () => {
  it('name, describe and accuse their box', async () => {
    const { rerender } = render(Harness)
    const box = screen.getByLabelText('Name')
    expect(box.getAttribute('aria-invalid')).toBeNull()
    await rerender({ error: 'must not be empty' })
    expect(box.getAttribute('aria-invalid')).toBe('true')
    const described = box.getAttribute('aria-describedby')!.split(' ')
    expect(described.map((id) => document.getElementById(id)!.textContent.trim())).toEqual([
      'must not be empty',
      'How',
    ])
  })

  it('bind what is typed, chosen and ticked', async () => {
    render(Harness)
    await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'Bea' } })
    await fireEvent.change(screen.getByLabelText('Choice'), { target: { value: 'a' } })
    await fireEvent.click(screen.getByRole('switch', { name: 'On' }))
    await fireEvent.click(screen.getByLabelText('Tick'))
    expect(state()).toEqual({ name: 'Bea', choice: 'a', on: true, tick: true })
  })

  it('show a secret only when asked', async () => {
    render(Harness)
    const box = screen.getByLabelText('Secret')
    expect(box.getAttribute('type')).toBe('password')
    await fireEvent.click(screen.getByRole('button', { name: 'Show' }))
    expect(box.getAttribute('type')).toBe('text')
  })
})

describe('buttons', () => {
  it('do nothing while busy, and keep the focus', async () => {
    const onpress = vi.fn()
    const { rerender } = render(Harness, { onpress })
    const button = screen.getByRole('button', { name: 'Press' })
    await fireEvent.click(button)
    await rerender({ onpress, busy: true })
    await fireEvent.click(button)
    expect(onpress).toHaveBeenCalledOnce()
    expect(button.getAttribute('aria-busy')).toBe('true')
    expect((button as HTMLButtonElement).disabled).toBe(false)
  })

  it('are links when they lead somewhere, and have names when they are pictures', () => {
    render(Harness)
    expect(screen.getByRole('link', { name: 'Link' }).getAttribute('href')).toBe('/settings')
    expect(screen.getByRole('button', { name: 'Close it' })).toBeTruthy()
  })
})

describe('layers', () => {
  it('open a named dialog and close it by Escape', async () => {
    render(Harness)
    await fireEvent.click(screen.getByRole('button', { name: 'Close it' }))
    const dialog = await screen.findByRole('dialog', { name: 'Title' })
    await fireEvent.keyDown(dialog, { key: 'Escape' })
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  it('ask, and answer what was chosen', async () => {
    render(Harness)
    const answer = confirm.ask({
      title: 'Delete?',
      text: 'For good.',
      confirm: 'Delete it',
      typed: 'bot',
      danger: true,
    })
    const yes = (await screen.findByRole('button', { name: 'Delete it' })) as HTMLButtonElement
    expect(yes.disabled).toBe(true)
    await fireEvent.input(screen.getByRole('textbox', { name: /to confirm/ }), { target: { value: 'bot' } })
    expect(yes.disabled).toBe(false)
    await fireEvent.click(yes)
    expect(await answer).toBe(true)

    const second = confirm.ask({ title: 'Again?', text: '', confirm: 'Yes' })
    await fireEvent.click(await screen.findByRole('button', { name: 'Cancel' }))
    expect(await second).toBe(false)
  })

  it('offer the action of a toast', async () => {
    render(Harness)
    const run = vi.fn()
    toasts.bad('Not sent', { action: { label: 'Again', run } })
    expect((await screen.findByRole('alert')).textContent).toContain('Not sent')
    await fireEvent.click(screen.getByRole('button', { name: 'Again' }))
    expect(run).toHaveBeenCalledOnce()
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull())
  })
})

describe('faces', () => {
  it('stand for names in any script', () => {
    expect(initials('Sara Mekonnen')).toBe('SM')
    expect(initials('Дмитрий Орлов')).toBe('ДО')
    expect(initials('ትዕግስት በቀለ')).toBe('ትበ')
    expect(initials('Piet de Haan')).toBe('PH')
    expect(initials('+7 843 212-07-15')).toBe('+7')
    expect(initials('👍')).toBe('👍')
    expect(initials('')).toBe('?')
  })

  it('keep their colour', () => {
    expect(hue('42')).toBe(hue('42'))
    expect(hue('')).toBeNull()
  })
})
