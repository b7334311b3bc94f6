/**
 * Addresses and screens, as pure functions. The table below is all there is; a screen never parses location itself.
 * parse(href(route)) gives the route back (a test holds it to that).
 */
export const settingsPages = [
  'channels',
  'teams',
  'agents',
  'hours',
  'canned',
  'pipelines',
  'general',
  'signin',
  'tokens',
  'trouble',
  'audit',
  'data',
  'profile',
  'notifications',
  'security',
] as const
export type SettingsPage = (typeof settingsPages)[number]

export type Route =
  | { name: 'login'; next?: string }
  | { name: 'setup'; token: string }
  | { name: 'invite'; token: string }
  /** view: mine, unassigned, all, mentions, team:{id}, saved:{id}, snoozed, closed, waiting; message: the one to show */
  | { name: 'inbox'; view: string; id?: string; message?: string }
  | { name: 'contacts'; id?: string }
  /** id: of the contact whose card is open beside */
  | { name: 'leads'; view: 'board' | 'table'; id?: string }
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
    case 'inbox': {
      if (parts.length > 3) break
      const message = query.get('message')
      return third
        ? { name: 'inbox', view: second!, id: third, ...(message ? { message } : {}) }
        : { name: 'inbox', view: second ?? defaultView }
    }
    case 'contacts':
      if (parts.length > 2) break
      return second ? { name: 'contacts', id: second } : { name: 'contacts' }
    case 'leads':
      if (parts.length > 3 || (second !== undefined && second !== 'board' && second !== 'table')) break
      return third ? { name: 'leads', view: second!, id: third } : { name: 'leads', view: second ?? 'board' }
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
      return (
        join('inbox', route.view, route.id) +
        (route.id && route.message ? '?message=' + encodeURIComponent(route.message) : '')
      )
    case 'contacts':
      return join('contacts', route.id)
    case 'leads':
      return join('leads', route.view, route.id)
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
