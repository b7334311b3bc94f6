import { describe, expect, it, vi } from 'vitest'
import { newClient } from './client'
import { ApiError, asApiError } from './errors'

type Handler = (request: Request) => Response | Promise<Response>
const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } })

function setup(handler: Handler) {
  const requests: Request[] = []
  const onSignedOut = vi.fn()
  const api = newClient({
    baseUrl: 'http://hub.test',
    onSignedOut,
    fetch: async (r) => {
      requests.push(r)
      return handler(r)
    },
  })
  return { api, requests, onSignedOut }
}

describe('calls', () => {
  it('fill the path, leave empty filters out, and answer the body', async () => {
    const { api, requests } = setup(() => json({ items: [], next_cursor: null }))
    const answer = await api.get('/api/conversations', { query: { view: 'team:7', q: '', limit: 5 } })
    expect(answer).toEqual({ items: [], next_cursor: null })
    const url = new URL(requests[0]!.url)
    expect(url.pathname).toBe('/api/conversations')
    expect(Object.fromEntries(url.searchParams)).toEqual({ view: 'team:7', limit: '5' })
  })

  it('answer undefined for an empty body', async () => {
    const { api } = setup(() => new Response(null, { status: 204 }))
    expect(await api.delete('/api/teams/{id}', { path: { id: '3' } })).toBeUndefined()
  })

  it('give every POST a key of its own, or the one that is given', async () => {
    const { api, requests } = setup(() => json({}))
    const body = { name: 'x', scopes: [], expires_at: null }
    await api.post('/api/tokens', { body })
    await api.post('/api/tokens', { body })
    await api.post('/api/tokens', { body, key: 'mine' })
    const keys = requests.map((r) => r.headers.get('Idempotency-Key'))
    expect(keys[0]).toBeTruthy()
    expect(keys[0]).not.toBe(keys[1])
    expect(keys[2]).toBe('mine')
    expect(await requests[0]!.json()).toEqual(body)
  })

  it('send files as a form', async () => {
    const { api, requests } = setup(() => json({}))
    const form = new FormData()
    form.append('file', new Blob(['x']), 'x.txt')
    await api.post('/api/uploads', { body: form })
    expect(requests[0]!.headers.get('Content-Type')).toMatch(/^multipart\/form-data; boundary=/)
  })
})

describe('refusals', () => {
  it('carry the problem and the fields', async () => {
    const problem = {
      title: 'Unprocessable Entity',
      status: 422,
      detail: 'Look at the fields.',
      code: 'invalid',
      errors: [
        { location: 'body.name', message: 'must not be empty' },
        { location: 'body.week[0].from', message: 'must be a time' },
        { location: 'body.name', message: 'second complaint' },
      ],
    }
    const { api } = setup(() => json(problem, 422, { 'Content-Type': 'application/problem+json' }))
    const err = await api.patch('/api/settings', { body: {} }).catch((e: unknown) => e)
    expect(err).toBeInstanceOf(ApiError)
    expect(err).toMatchObject({
      status: 422,
      code: 'invalid',
      message: 'Look at the fields.',
      fields: { name: 'must not be empty', 'week[0].from': 'must be a time' },
    })
  })

  it('keep further members of the problem', async () => {
    const { api } = setup(() => json({ title: 'Conflict', status: 409, code: 'unseen', items: [1] }, 409))
    const err = asApiError(await api.get('/api/me').catch((e: unknown) => e))
    expect(err.problem.items).toEqual([1])
    expect(err.code).toBe('unseen')
  })

  it('end the session on 401, but not where the caller handles it', async () => {
    const { api, onSignedOut } = setup(() => json({ title: 'Unauthorized', status: 401 }, 401))
    await expect(api.get('/api/me', { anonymous: true })).rejects.toMatchObject({
      status: 401,
      code: 'unauthenticated',
    })
    expect(onSignedOut).not.toHaveBeenCalled()
    await expect(api.get('/api/me')).rejects.toBeInstanceOf(ApiError)
    expect(onSignedOut).toHaveBeenCalledOnce()
  })

  it('are understood without a JSON body, and say how long to wait', async () => {
    const { api } = setup(
      () => new Response('<h1>Bad gateway</h1>', { status: 502, headers: { 'Retry-After': '7' } }),
    )
    const err = asApiError(await api.get('/api/me').catch((e: unknown) => e))
    expect(err).toMatchObject({ status: 502, code: 'server', retryAfter: 7 })
  })

  it('of the network have status 0', async () => {
    const { api } = setup(() => Promise.reject(new TypeError('Failed to fetch')))
    const err = asApiError(await api.get('/api/me').catch((e: unknown) => e))
    expect(err.offline).toBe(true)
    expect(err.code).toBe('network')
  })
})
