/**
 * Addresses and screens. The table below is all there is; a screen never parses location itself.
 * parse(href(route)) gives the route back (a test holds it to that).
 */
export const settingsPages = [
  'channels',
  'teams',
  'agents',
  'hours',
  'general',
  'tokens',
  'trouble',
  'audit',
  'data',
  'profile',
  'security',
] as const
export type SettingsPage = (typeof settingsPages)[number]

export type Route =
  | { name: 'login'; next?: string }
  | { name: 'setup'; token: string }
  | { name: 'invite'; token: string }
  /** view: mine, unassigned, all, team:{id}, snoozed, closed, waiting */
  | { name: 'inbox'; view: string; id?: string }
  | { name: 'contacts'; id?: string }
  /** sub: an id, or "new"; tab: a part of that thing's page */
  | { name: 'settings'; page: SettingsPage | ''; sub?: string; tab?: string }
  | { name: 'not_found'; path: string }

export const defaultView = 'mine'

export function parse(path: string, search = ''): Route {
  const parts = path.split('/').filter(Boolean).map(decode)
  const query = new URLSearchParams(search)
  const [first, second, third, fourth] = parts
  switch (first) {
    case undefined:
      return { name: 'inbox', view: defaultView }
    case 'login': {
      const next = query.get('next')
      return next ? { name: 'login', next } : { name: 'login' }
    }
    case 'setup':
      return { name: 'setup', token: query.get('token') ?? '' }
    case 'invite':
      return { name: 'invite', token: query.get('token') ?? second ?? '' }
    case 'inbox':
      if (parts.length > 3) break
      return third
        ? { name: 'inbox', view: second!, id: third }
        : { name: 'inbox', view: second ?? defaultView }
    case 'contacts':
      if (parts.length > 2) break
      return second ? { name: 'contacts', id: second } : { name: 'contacts' }
    case 'settings':
      if (second === undefined) return { name: 'settings', page: '' }
      if (!isSettingsPage(second) || parts.length > 4) break
      return {
        name: 'settings',
        page: second,
        ...(third ? { sub: third } : {}),
        ...(fourth ? { tab: fourth } : {}),
      }
  }
  return { name: 'not_found', path }
}

export function href(route: Route): string {
  switch (route.name) {
    case 'login':
      return '/login' + (route.next ? '?next=' + encodeURIComponent(route.next) : '')
    case 'setup':
    case 'invite':
      return `/${route.name}?token=${encodeURIComponent(route.token)}`
    case 'inbox':
      return join('inbox', route.view, route.id)
    case 'contacts':
      return join('contacts', route.id)
    case 'settings':
      return join('settings', route.page || undefined, route.sub, route.tab)
    case 'not_found':
      return route.path
  }
}

function join(...parts: (string | undefined)[]): string {
  // A colon is legal in a path and makes "team:7" readable.
  return (
    '/' +
    parts
      .filter((p) => p !== undefined)
      .map((p) => encodeURIComponent(p).replaceAll('%3A', ':'))
      .join('/')
  )
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function isSettingsPage(s: string): s is SettingsPage {
  return (settingsPages as readonly string[]).includes(s)
}

/** Only a path of our own may be a place to return to: never another site. */
export function safeNext(next: string | undefined): string | null {
  if (!next || !next.startsWith('/') || next.startsWith('//') || next.includes('\\')) return null
  return ['login', 'setup', 'invite', 'not_found'].includes(parse(next.split('?')[0]!).name) ? null : next
}

export class Router {
  current = $state.raw<Route>({ name: 'inbox', view: defaultView })
  /** Asked before the place changes; false keeps it (a form with typed text). */
  #guards = new Set<(to: Route) => boolean>()
  #position = 0

  /** Follows the address bar and plain clicks on links until the returned function is called. */
  start(): () => void {
    this.#position = (history.state as { n?: number } | null)?.n ?? 0
    history.replaceState({ n: this.#position }, '')
    this.current = parse(location.pathname, location.search)
    const onPop = (e: PopStateEvent) => {
      const to = parse(location.pathname, location.search)
      const n = (e.state as { n?: number } | null)?.n ?? 0
      if (!this.#allowed(to)) {
        // The browser has moved already: go back by as much as it went.
        const delta = this.#position - n
        if (delta !== 0) history.go(delta)
        return
      }
      this.#position = n
      if (!same(to, this.current)) this.current = to
    }
    const onClick = (e: MouseEvent) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
      const a = (e.target as Element | null)?.closest('a')
      if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin) return
      if (/^\/(api|hooks|forms)\//.test(a.pathname)) return
      e.preventDefault()
      this.go(a.pathname + a.search)
    }
    addEventListener('popstate', onPop)
    document.addEventListener('click', onClick)
    return () => {
      removeEventListener('popstate', onPop)
      document.removeEventListener('click', onClick)
    }
  }

  go(to: Route | string, how: { replace?: boolean; force?: boolean } = {}): void {
    const url = typeof to === 'string' ? to : href(to)
    const [path, search] = splitOnce(url, '?')
    const route = typeof to === 'string' ? parse(path, search) : to
    if (!how.force && !this.#allowed(route)) return
    if (url !== location.pathname + location.search) {
      if (how.replace) history.replaceState({ n: this.#position }, '', url)
      else history.pushState({ n: ++this.#position }, '', url)
    }
    this.current = route
  }

  /** Returns the function that takes the guard away. */
  guard(ask: (to: Route) => boolean): () => void {
    this.#guards.add(ask)
    return () => this.#guards.delete(ask)
  }

  #allowed(to: Route): boolean {
    for (const ask of this.#guards) if (!ask(to)) return false
    return true
  }
}

function same(a: Route, b: Route): boolean {
  return href(a) === href(b)
}

function splitOnce(s: string, by: string): [string, string] {
  const i = s.indexOf(by)
  return i < 0 ? [s, ''] : [s.slice(0, i), s.slice(i)]
}

export const router = new Router()
