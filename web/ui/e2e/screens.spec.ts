import { settingsPages } from '../src/lib/routes'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'

const screens = [
  '/settings',
  ...settingsPages.map((p) => `/settings/${p}`),
  '/settings/channels/new',
  '/settings/channels/new/email',
  '/settings/channels/new/telegram',
  '/settings/teams/new',
  '/settings/hours/new',
  '/settings/canned/new',
  '/settings/agents/invite',
  '/settings/tokens/new',
  '/settings/trouble/uncertain',
  '/nowhere',
]

for (const path of screens) {
  test(`${path} is accessible in both themes, narrow and wide`, async ({ page }) => {
    await page.goto(path)
    await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible()
    await expect(page.locator('[aria-busy=true]')).toHaveCount(0)
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 800 })
      await expectNoSideways(page, `${path} at ${width}`)
      for (const theme of ['light', 'dark'] as const) {
        await setTheme(page, theme)
        await expectAccessible(page, `${path}, ${theme}, ${width}`)
      }
    }
  })
}

test('what lies over a screen is accessible too', async ({ page }) => {
  await page.goto('/settings/general')
  await expect(page.getByRole('heading', { level: 1, name: 'General' })).toBeVisible()
  for (const theme of ['light', 'dark'] as const) {
    await setTheme(page, theme)
    await page.keyboard.press('Control+k')
    await expect(page.getByRole('dialog').getByRole('combobox')).toBeFocused()
    await page.getByRole('dialog').getByRole('combobox').fill('e')
    await expectAccessible(page, `palette, ${theme}`)
    await page.keyboard.press('Escape')
    await expect(page.getByRole('dialog')).toHaveCount(0)
    await page.keyboard.press('?')
    await expect(page.getByRole('dialog')).toBeVisible()
    await expectAccessible(page, `keys, ${theme}`)
    await page.keyboard.press('Escape')
    await expect(page.getByRole('dialog')).toHaveCount(0)
    await page.getByRole('button', { name: /^Account and status/ }).click()
    await expect(page.getByRole('menu')).toBeVisible()
    // A menu stands outside the landmarks, as ARIA has it.
    await expectAccessible(page, `account menu, ${theme}`, ['region'])
    await page.keyboard.press('Escape')
    await expect(page.getByRole('menu')).toHaveCount(0)
  }
})

test('a lost connection is told, and taken back when it returns', async ({ page, context, quiet }) => {
  quiet.allow(/WebSocket|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION/)
  await page.goto('/settings/teams')
  await expect(page.getByRole('heading', { level: 1, name: 'Teams' })).toBeVisible()
  await context.setOffline(true)
  const bar = page.getByRole('region', { name: 'Something needs attention' })
  await expect(bar).toContainText('Reconnecting, last synced', { timeout: 20_000 })
  await context.setOffline(false)
  await expect(bar.filter({ hasText: 'Reconnecting' })).toHaveCount(0, { timeout: 20_000 })
})
