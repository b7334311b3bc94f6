import { describe, expect, it } from 'vitest'
import { href, parse, safeNext, settingsPages, type Route } from './routes'

const routes: [string, Route][] = [
  ['/login', { name: 'login' }],
  ['/login?next=%2Fsettings%2Fteams', { name: 'login', next: '/settings/teams' }],
  ['/setup?token=a%2Bb', { name: 'setup', token: 'a+b' }],
  ['/invite?token=x', { name: 'invite', token: 'x' }],
  ['/inbox/mine', { name: 'inbox', view: 'mine' }],
  ['/inbox/team:7', { name: 'inbox', view: 'team:7' }],
  ['/inbox/all/42', { name: 'inbox', view: 'all', id: '42' }],
  ['/inbox/all/42?message=a-1', { name: 'inbox', view: 'all', id: '42', message: 'a-1' }],
  ['/contacts', { name: 'contacts' }],
  ['/contacts/5', { name: 'contacts', id: '5' }],
  ['/leads/board', { name: 'leads', view: 'board' }],
  ['/leads/table/5', { name: 'leads', view: 'table', id: '5' }],
  ['/settings', { name: 'settings', page: '' }],
  ...settingsPages.map((page): [string, Route] => [`/settings/${page}`, { name: 'settings', page }]),
  ['/settings/channels/3/quarantine', { name: 'settings', page: 'channels', sub: '3', tab: 'quarantine' }],
]

describe('addresses', () => {
  it.each(routes)('%s is read and written alike', (url, route) => {
    const [path, search] = url.split('?')
    expect(parse(path!, search ? '?' + search : '')).toEqual(route)
    expect(href(route)).toBe(url)
  })

  it('knows what it does not know', () => {
    for (const path of [
      '/nowhere',
      '/settings/nothing',
      '/inbox/a/b/c',
      '/contacts/1/2',
      '/leads/pile',
      '/leads/board/1/2',
      '/settings/teams/1/2/3',
    ])
      expect(parse(path)).toEqual({ name: 'not_found', path })
  })

  it('reads a broken escape as it stands', () => {
    expect(parse('/inbox/%E0%A4%A')).toEqual({ name: 'inbox', view: '%E0%A4%A' })
  })

  it('begins at the inbox', () => {
    expect(parse('/')).toEqual({ name: 'inbox', view: 'mine' })
  })
})

describe('safeNext', () => {
  it.each(['/settings/teams', '/inbox/all/4?x=1'])('goes on to %s', (next) =>
    expect(safeNext(next)).toBe(next),
  )
  it.each([
    undefined,
    '',
    'https://evil.test',
    '//evil.test',
    '/\\evil.test',
    '/login',
    '/nowhere',
    'settings',
  ])('does not go to %s', (next) => expect(safeNext(next)).toBeNull())
})
