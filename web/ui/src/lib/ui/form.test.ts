import { beforeAll, expect, it, vi } from 'vitest'
import { ApiError } from '$lib/api/errors'
import { i18n } from '$lib/i18n/index.svelte'
import { Form } from './form.svelte'

beforeAll(() => i18n.start('en'))

const refusal = (errors: { location: string; message: string }[], status = 422) =>
  new ApiError({ title: 'No', status, detail: 'Not so.', errors })

it('keeps what was typed and puts each complaint beside its field until the field changes', async () => {
  const form = new Form({ name: 'x', settings: { token: 'bad' } }, ['name', 'settings.token'])
  form.values.name = 'typed'
  const done = await form.submit(() =>
    Promise.reject(refusal([{ location: 'body.settings.token', message: 'wrong' }])),
  )
  expect(done).toBe(false)
  expect(form.values.name).toBe('typed')
  expect(form.error('settings.token')).toBe('wrong')
  expect(form.failure).toBeNull()
  form.values.settings.token = 'other'
  expect(form.error('settings.token')).toBeNull()
})

it('hangs a complaint about a part on the nearest field that it shows', async () => {
  const form = new Form({ week: [{ from: '1' }] })
  await form.submit(() => Promise.reject(refusal([{ location: 'body.week[0].from', message: 'no time' }])))
  expect(form.error('week')).toBe('no time')
})

it('tells what belongs to no field', async () => {
  const form = new Form({ name: '' })
  await form.submit(() => Promise.reject(refusal([{ location: 'body.secret', message: 'too short' }])))
  expect(form.failure?.text).toContain('too short')
})

it('sends the same key again after a lost answer, and another after a refusal', async () => {
  const keys: string[] = []
  const form = new Form({ name: '' })
  const send = (err?: Error) => (_: unknown, key: string) => {
    keys.push(key)
    return err ? Promise.reject(err) : Promise.resolve()
  }
  await form.submit(send(ApiError.network(new Error('lost'))))
  await form.submit(send(refusal([])))
  await form.submit(send())
  expect(keys[1]).toBe(keys[0])
  expect(keys[2]).not.toBe(keys[1])
})

it('runs once, however often it is pressed', async () => {
  const form = new Form({ name: '' })
  const send = vi.fn(() => Promise.resolve())
  await Promise.all([form.submit(send), form.submit(send)])
  expect(send).toHaveBeenCalledOnce()
})

it('lays what was typed over what a colleague changed', async () => {
  const form = new Form({ name: 'old', size: 1 })
  form.values.name = 'mine'
  await form.submit(() => Promise.reject(new ApiError({ title: 'Conflict', status: 409 })), {
    newest: () => Promise.resolve({ name: 'theirs', size: 2 }),
  })
  expect(form.values).toEqual({ name: 'mine', size: 2 })
  expect(form.changes).toEqual({ name: 'mine' })
  expect(form.failure).not.toBeNull()
})
