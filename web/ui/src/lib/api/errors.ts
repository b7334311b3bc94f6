import type { Problem } from './types'

/**
 * Every way in which a call can fail. status 0 means that no answer came: nothing is known about what the server
 * did, and a POST may be sent again with the same key.
 */
export class ApiError extends Error {
  readonly status: number
  /** Machine-readable: "validation", "conflict", "unseen", "network", ... */
  readonly code: string
  readonly problem: Problem
  /** Field name to message, from problem.errors ("body.name" is "name", "body.week[0].from" is "week[0].from"). */
  readonly fields: Record<string, string>
  /** Seconds to wait, when the server said so. */
  readonly retryAfter: number | null

  constructor(problem: Problem, retryAfter: number | null = null) {
    super(problem.detail || problem.title)
    this.name = 'ApiError'
    this.problem = problem
    this.status = problem.status
    this.code = problem.code ?? codeOf(problem.status)
    this.retryAfter = retryAfter
    this.fields = {}
    for (const e of problem.errors ?? []) {
      const name = e.location.replace(/^(body|query|path|header)\.?/, '')
      this.fields[name] ??= e.message
    }
  }

  get offline(): boolean {
    return this.status === 0
  }

  static network(cause: unknown): ApiError {
    const err = new ApiError({
      title: cause instanceof Error ? cause.message : String(cause),
      status: 0,
      code: 'network',
    })
    err.cause = cause
    return err
  }

  static async from(response: Response): Promise<ApiError> {
    const after = Number(response.headers.get('Retry-After'))
    const retryAfter = Number.isFinite(after) && after > 0 ? after : null
    let problem: Problem = {
      title: response.statusText || `HTTP ${response.status}`,
      status: response.status,
    }
    if (/json/.test(response.headers.get('Content-Type') ?? '')) {
      try {
        problem = { ...problem, ...((await response.json()) as Partial<Problem>) }
      } catch {
        // A broken body still has a status that says enough.
      }
    }
    problem.status = response.status
    return new ApiError(problem, retryAfter)
  }
}

function codeOf(status: number): string {
  switch (status) {
    case 401:
      return 'unauthenticated'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 409:
      return 'conflict'
    case 413:
      return 'too_large'
    case 422:
      return 'invalid'
    case 429:
      return 'too_many'
    default:
      return status >= 500 ? 'server' : 'error'
  }
}

/** Anything thrown, as an ApiError: a bug in this application must be visible too. */
export function asApiError(err: unknown): ApiError {
  return err instanceof ApiError ? err : new ApiError({ title: String(err), status: -1, code: 'internal' })
}
