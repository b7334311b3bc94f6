import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { state, world } from './world'

test.describe.configure({ mode: 'serial' })

test('a used or wrong set-up link says so', async ({ page }) => {
  await page.goto('/setup?token=wrong')
  const title = world.setupUrl ? 'This link does not work' : 'Parley is set up already'
  await expect(page.getByText(title)).toBeVisible()
  await expectAccessible(page, 'set-up with a wrong link')
})

test('the first run makes the account, the company and the first channel', async ({ page }) => {
  test.skip(!world.setupUrl, 'the hub has its administrator already')
  await page.goto(world.setupUrl)
  await expect(page.getByText('Step 1 of 3')).toBeVisible()
  await expectAccessible(page, 'first step')

  await page.getByLabel('Your name').fill(world.name)
  await page.getByLabel('E-mail').fill(world.email)
  await page.getByLabel('Password', { exact: true }).fill('short')
  await page.getByRole('button', { name: 'Next' }).click()
  await expect(page.getByText('12 characters are the least.')).toBeVisible()
  await page.getByLabel('Password', { exact: true }).fill(world.password)
  await page.getByRole('button', { name: 'Next' }).click()

  await expect(page.getByText('Step 2 of 3')).toBeVisible()
  await expectAccessible(page, 'second step')
  // Going back loses nothing.
  await page.getByRole('button', { name: 'Back' }).click()
  await expect(page.getByLabel('Your name')).toHaveValue(world.name)
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByLabel('Company name').fill(world.workspace)
  await page.getByRole('button', { name: 'Create the workspace' }).click()

  await expect(page.getByText('Step 3 of 3')).toBeVisible()
  await expectAccessible(page, 'third step')
  if (world.telegramToken) {
    await page.getByLabel('Bot token').fill('123456:wrong_wrong_wrong')
    await page.getByText('More settings').click()
    await page.getByLabel('Bot API server').fill(world.telegramUrl)
    await page.getByRole('button', { name: 'Connect the bot' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
    await page.getByLabel('Bot token').fill(world.telegramToken)
    await page.getByRole('button', { name: 'Connect the bot' }).click()
    await expect(page.getByText('is connected. Write to your bot')).toBeVisible()
  } else {
    await page.getByRole('button', { name: 'Skip for now' }).click()
  }
  await expect(page.getByRole('heading', { name: 'All is ready' })).toBeVisible()
  await expectAccessible(page, 'ready')
  await page.getByRole('button', { name: 'Open the inbox' }).click()
  await expect(page).toHaveURL(/\/inbox\/mine$/)
  await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible()
})

test('a wrong password is told, what was typed stays, and the right one leads in', async ({ page }) => {
  await page.goto('/login')
  for (const theme of ['light', 'dark'] as const) {
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 800 })
      await setTheme(page, theme)
      await expectAccessible(page, `sign-in, ${theme}, ${width}`)
      await expectNoSideways(page, `sign-in, ${width}`)
    }
  }
  await page.getByLabel('E-mail').fill(world.email)
  await page.getByLabel('Password', { exact: true }).fill('not this one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toContainText('The e-mail address or the password is wrong.')
  await expect(page.getByLabel('E-mail')).toHaveValue(world.email)
  await expectAccessible(page, 'sign-in with a refusal')

  await page.getByLabel('Password', { exact: true }).fill(world.password)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/inbox\/mine$/)
})

test('a link into the house leads through the door and on', async ({ page }) => {
  await page.goto('/settings/security')
  await expect(page).toHaveURL(/\/login\?next=/)
  await expect(page.getByText('Your session is over')).toBeVisible()
  await page.getByLabel('E-mail').fill(world.email)
  await page.getByLabel('Password', { exact: true }).fill(world.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/settings\/security$/)
  await expect(page.getByRole('heading', { name: 'Security', level: 1 })).toBeVisible()

  await page.getByRole('button', { name: /^Account and status/ }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(/\/login/)
  await page.goto('/settings/security')
  await expect(page).toHaveURL(/\/login/)
})

test('another site is never a place to come back to', async ({ page }) => {
  await page.goto('/login?next=' + encodeURIComponent('//evil.test/x'))
  await page.getByLabel('E-mail').fill(world.email)
  await page.getByLabel('Password', { exact: true }).fill(world.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/inbox\/mine$/)
  expect(new URL(page.url()).origin).toBe(new URL(world.url).origin)
})

test('the screens before sign-in speak three languages', async ({ page }) => {
  await page.goto('/login')
  await page.getByRole('button', { name: 'Language: English' }).click()
  await page.getByRole('menuitem', { name: 'Русский' }).click()
  await expect(page.getByRole('heading', { name: 'Вход' })).toBeVisible()
  await expect(page.locator('html')).toHaveAttribute('lang', 'ru')
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Вход' })).toBeVisible()
  await page.getByRole('button', { name: /Русский/ }).click()
  await page.getByRole('menuitem', { name: 'አማርኛ' }).click()
  await expect(page.getByRole('heading', { name: 'ግባ' })).toBeVisible()
  await expectAccessible(page, 'sign-in in Amharic')
})

test('the session is kept for the other tests', async ({ page }) => {
  await page.goto('/login')
  await page.getByLabel('E-mail').fill(world.email)
  await page.getByLabel('Password', { exact: true }).fill(world.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/inbox\/mine$/)
  await page.context().storageState({ path: state })
})
