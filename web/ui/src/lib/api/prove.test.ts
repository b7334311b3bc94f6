import { expect, it } from 'vitest'
import { newClient } from './client'

const refusal = () =>
  new Response(JSON.stringify({ title: 'x', status: 403, code: 'reauth' }), {
    status: 403,
    headers: { 'Content-Type': 'application/problem+json' },
  })
const done = () =>
  new Response(JSON.stringify({ link: 'y' }), {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
  })

/** A server that wants a proof before the first answer; it notes the keys that it was sent. */
function setup(answers: (() => Response)[], prove: () => Promise<boolean>) {
  const keys: (string | null)[] = []
  const client = newClient({
    baseUrl: 'http://hub.test',
    prove,
    fetch: (request) => {
      keys.push(request.headers.get('Idempotency-Key'))
      return Promise.resolve(answers.shift()!())
    },
  })
  return { client, keys }
}

it('proves who is here and makes the same call again, with the same key', async () => {
  const { client, keys } = setup([refusal, done], () => Promise.resolve(true))
  const got = await client.post('/api/agents/{id}/reset-link', { path: { id: '1' }, key: 'k' })
  expect(got).toEqual({ link: 'y' })
  expect(keys).toEqual(['k', 'k'])
})

it('gives the refusal back when nobody proves anything, or the proof is not enough', async () => {
  const no = setup([refusal], () => Promise.resolve(false))
  await expect(no.client.post('/api/me/totp')).rejects.toMatchObject({ status: 403, code: 'reauth' })
  const yes = setup([refusal, refusal], () => Promise.resolve(true))
  await expect(yes.client.post('/api/me/totp')).rejects.toMatchObject({ code: 'reauth' })
  expect(yes.keys).toHaveLength(2)
})
