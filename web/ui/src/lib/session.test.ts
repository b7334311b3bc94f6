import { beforeAll, expect, it, vi } from 'vitest'
import type { Client } from './api/client'
import { ApiError } from './api/errors'
import type { Me } from './api/types'
import { i18n } from './i18n/index.svelte'
import { SessionState } from './session.svelte'

beforeAll(() => i18n.start('en'))

const me = {
  agent: { id: '1', name: 'Ann', status: 'online', version: 1 },
  locale: 'ru',
  theme: 'dark',
  permissions: ['audit.read'],
  workspace: { name: 'Shop' },
} as unknown as Me

function setup(answers: Partial<Record<'get' | 'put' | 'patch' | 'delete', () => Promise<unknown>>>) {
  return new SessionState(answers as unknown as Client)
}

it('takes over who we are, with language and light', async () => {
  const session = setup({ get: () => Promise.resolve(me) })
  await session.load()
  expect(session.signedIn).toBe(true)
  expect(i18n.locale).toBe('ru')
  expect(document.documentElement.dataset.theme).toBe('dark')
  expect(session.can('audit.read')).toBe(true)
  expect(session.can('agents.manage')).toBe(false)
})

it('tells nobody from no answer', async () => {
  const nobody = setup({ get: () => Promise.reject(new ApiError({ title: '', status: 401 })) })
  await nobody.load()
  expect(nobody.me).toBeNull()
  const silent = setup({ get: () => Promise.reject(ApiError.network(new Error('x'))) })
  await expect(silent.load()).rejects.toBeInstanceOf(ApiError)
  expect(silent.me).toBeUndefined()
})

it('shows a status at once and takes it back when it is refused', async () => {
  let refuse!: (err: Error) => void
  const session = setup({ put: () => new Promise((_, reject) => (refuse = reject)) })
  session.me = me
  const change = session.setStatus('busy')
  expect(session.me.agent.status).toBe('busy')
  refuse(new ApiError({ title: '', status: 500 }))
  await expect(change).rejects.toBeInstanceOf(ApiError)
  expect(session.me.agent.status).toBe('online')
})

it('ends once, for all who registered', () => {
  const session = setup({})
  session.me = me
  const gone = vi.fn()
  session.onEnd(gone)
  session.end()
  session.end()
  expect(gone).toHaveBeenCalledOnce()
  expect(session.me).toBeNull()
})
