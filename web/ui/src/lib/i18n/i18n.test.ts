import { beforeAll, expect, it } from 'vitest'
import { i18n, t, tOr } from './index.svelte'

beforeAll(() => i18n.start('ru'))

it('chooses the plural form of the language', () => {
  const words = [1, 2, 5, 21].map((count) => t('settings.teams.member', { count }))
  expect(words).toEqual(['1 участник', '2 участника', '5 участников', '21 участник'])
})

it('changes the language, the page and what is remembered', async () => {
  await i18n.use('am')
  expect(t('common.save')).toBe('አስቀምጥ')
  expect(document.documentElement.lang).toBe('am')
  expect(localStorage.getItem('parley.locale')).toBe('am')
})

it('falls back for keys that are made of data', () => {
  expect(tOr('common.channel_kind.pigeon', 'pigeon')).toBe('pigeon')
  expect(tOr('common.channel_kind.telegram', 'x')).toBe('ቴሌግራም')
})
