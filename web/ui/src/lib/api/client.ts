/**
 * The only way to the server's HTTP API. Each call answers the body of a 2xx or throws an ApiError; nothing else.
 * A POST carries an Idempotency-Key: repeat a call whose answer never came with the same `key`, and it is done once.
 */
import createClient from 'openapi-fetch'
import { ApiError } from './errors'
import type { Routes } from './routes'

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type With<M extends Method> = { [P in keyof Routes]: M extends keyof Routes[P] ? P : never }[keyof Routes]
type OpOf<P extends keyof Routes, M extends Method> = M extends keyof Routes[P] ? Routes[P][M] : never
type PathOf<O> = O extends { parameters: { path: infer X } } ? X : never
type QueryOf<O> = O extends { parameters: { query?: infer X } } ? X : never
type BodyOf<O> = O extends { requestBody: infer R }
  ? [R] extends [{ content: { 'application/json': infer X } }]
    ? [R] extends [never]
      ? never
      : X
    : never
  : never
export type Answer<P extends keyof Routes, M extends Method> =
  OpOf<P, M> extends { responses: { 200: { content: { 'application/json': infer X } } } } ? X : never

interface Common {
  signal?: AbortSignal
  /** Idempotency-Key of a POST; a fresh one by default. */
  key?: string
  /** The caller handles a 401 itself (login, password change): the session stays as it is. */
  anonymous?: boolean
}
type Field<K extends string, T> = [T] extends [never] ? { [k in K]?: never } : { [k in K]: T }
type Optional<K extends string, T> = [T] extends [never] ? { [k in K]?: never } : { [k in K]?: T }
type Options<O> = Common & Field<'path', PathOf<O>> & Optional<'query', QueryOf<O>> & Field<'body', BodyOf<O>>
/** The options may be left out when the operation needs neither a path nor a body. */
type Args<O> = [PathOf<O>] extends [never]
  ? [BodyOf<O>] extends [never]
    ? [options?: Options<O>]
    : [options: Options<O>]
  : [options: Options<O>]

interface Request {
  path?: Record<string, string>
  query?: Record<string, unknown>
  body?: unknown
  signal?: AbortSignal
  key?: string
  anonymous?: boolean
}

export interface ClientConfig {
  baseUrl?: string
  fetch?: (request: globalThis.Request) => Promise<Response>
  /** Told once per refused call when the session is over. */
  onSignedOut?: () => void
  /** Asked when the server wants to know that it is still we; true = it knows now, and the call is made again. */
  prove?: () => Promise<boolean>
}

export function newClient(config: ClientConfig = {}) {
  // The table of routes is checked at our own signatures; inside, the paths are only strings.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  const http = createClient<any>({
    baseUrl: config.baseUrl ?? location.origin,
    credentials: 'same-origin',
    fetch: (request) => (config.fetch ?? fetch)(request),
    querySerializer: { array: { style: 'form', explode: true } },
  })
  http.use({
    async onResponse({ response }) {
      if (!response.ok) throw await ApiError.from(response)
    },
  })
  let onSignedOut = config.onSignedOut
  let prove = config.prove

  async function call(method: Method, path: string, o: Request = {}): Promise<unknown> {
    try {
      return await once(method, path, o)
    } catch (err) {
      if (!(err instanceof ApiError) || err.code !== 'reauth' || !(await prove?.())) throw err
      return once(method, path, o)
    }
  }

  async function once(method: Method, path: string, o: Request): Promise<unknown> {
    const headers: Record<string, string> = {}
    if (method === 'post') headers['Idempotency-Key'] = o.key ?? crypto.randomUUID()
    try {
      const answer = await http.request(method, path, {
        params: { path: o.path, query: clean(o.query) },
        body: o.body,
        headers,
        signal: o.signal,
        // eslint-disable-next-line @typescript-eslint/no-explicit-any
      } as any)
      return answer.data
    } catch (err) {
      if (o.signal?.aborted) throw err
      if (!(err instanceof ApiError)) throw ApiError.network(err)
      if (err.status === 401 && !o.anonymous) onSignedOut?.()
      throw err
    }
  }

  return {
    get: <P extends With<'get'>>(path: P, ...a: Args<OpOf<P, 'get'>>) =>
      call('get', path, a[0] as Request) as Promise<Answer<P, 'get'>>,
    post: <P extends With<'post'>>(path: P, ...a: Args<OpOf<P, 'post'>>) =>
      call('post', path, a[0] as Request) as Promise<Answer<P, 'post'>>,
    put: <P extends With<'put'>>(path: P, ...a: Args<OpOf<P, 'put'>>) =>
      call('put', path, a[0] as Request) as Promise<Answer<P, 'put'>>,
    patch: <P extends With<'patch'>>(path: P, ...a: Args<OpOf<P, 'patch'>>) =>
      call('patch', path, a[0] as Request) as Promise<Answer<P, 'patch'>>,
    delete: <P extends With<'delete'>>(path: P, ...a: Args<OpOf<P, 'delete'>>) =>
      call('delete', path, a[0] as Request) as Promise<Answer<P, 'delete'>>,
    set onSignedOut(fn: () => void) {
      onSignedOut = fn
    },
    set prove(fn: () => Promise<boolean>) {
      prove = fn
    },
  }
}

/** An empty search box is no filter. */
function clean(query: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (!query) return undefined
  return Object.fromEntries(
    Object.entries(query).filter(([, v]) => v !== undefined && v !== '' && v !== null),
  )
}

export type Client = ReturnType<typeof newClient>

/** The application's one client; tests make their own. */
export const api = newClient()
