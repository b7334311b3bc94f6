import { createHmac } from 'node:crypto'
import type { Browser, Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { world } from './world'

const password = 'violet harbour under snow'

/** RFC 6238, as the app on a telephone does it. */
function codeOf(secret: string, step = Math.floor(Date.now() / 30_000)): string {
  const bits = [...secret]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('')
  const key = Buffer.from(bits.match(/.{8}/g)!.map((b) => parseInt(b, 2)))
  const count = Buffer.alloc(8)
  count.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', key).update(count).digest()
  const at = mac[19]! & 15
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** A colleague with a browser of his own, signed in. */
async function colleague(page: Page, browser: Browser, name: string) {
  const email = `${name.toLowerCase()}.${Date.now().toString(36)}@hub.test`
  const made = await page.request.post(`${world.url}/api/invitations`, {
    data: { email, name, role: 'agent', scope: 'team' },
  })
  const { link } = (await made.json()) as { link: string }
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] }, locale: 'en-GB' })
  const theirs = await context.newPage()
  await theirs.goto(new URL(link).pathname + new URL(link).search)
  await theirs.getByLabel('Password', { exact: true }).fill(password)
  await theirs.getByRole('button', { name: 'Join' }).click()
  await expect(theirs).toHaveURL(/\/inbox\/mine$/)
  return { email, context, theirs }
}

async function signIn(page: Page, email: string): Promise<void> {
  await page.goto('/login')
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

async function bothThemes(page: Page, what: string): Promise<void> {
  for (const width of [360, 768, 1440]) {
    await page.setViewportSize({ width, height: 900 })
    await expectNoSideways(page, `${what} at ${width}`)
    for (const theme of ['light', 'dark'] as const) {
      await setTheme(page, theme)
      await expectAccessible(page, `${what}, ${theme}, ${width}`)
    }
  }
}

test('a second step is set up, asked for, and stood in for by a recovery code', async ({ page, browser }) => {
  test.setTimeout(120_000)
  const { email, context, theirs } = await colleague(page, browser, 'Tesfaye')
  await theirs.goto('/settings/security')
  await expect(theirs.getByText('Switched off')).toBeVisible()
  await theirs.getByRole('button', { name: 'Set up the second step' }).click()
  const dialog = theirs.getByRole('dialog')
  await expect(dialog.getByRole('img', { name: 'QR code' })).toBeVisible()
  await dialog.getByText('It cannot be scanned?').click()
  const secret = await dialog.getByLabel('Key', { exact: true }).inputValue()
  await bothThemes(theirs, 'setting up the second step')
  const code = dialog.getByLabel('Code that the app shows now')
  await code.fill('000000')
  await dialog.getByRole('button', { name: 'Switch it on' }).click()
  await expect(code).toHaveAttribute('aria-invalid', 'true')
  await code.fill(codeOf(secret))
  await dialog.getByRole('button', { name: 'Switch it on' }).click()
  await expect(dialog.getByRole('list', { name: 'Recovery codes' })).toBeVisible()
  const recovery = await dialog
    .getByRole('list', { name: 'Recovery codes' })
    .getByRole('listitem')
    .allInnerTexts()
  expect(recovery).toHaveLength(8)
  await bothThemes(theirs, 'recovery codes')
  await dialog.getByRole('button', { name: 'I have kept them' }).click()
  await expect(theirs.getByText('8 recovery codes left')).toBeVisible()
  expect(await theirs.content()).not.toContain(recovery[0])

  await context.clearCookies()
  await signIn(theirs, email)
  const box = theirs.getByLabel('Code', { exact: true })
  await expect(box).toBeFocused()
  await bothThemes(theirs, 'the code at the door')
  await box.fill('000000')
  await theirs.getByRole('button', { name: 'Sign in' }).click()
  await expect(theirs.getByText('This code is not right')).toBeVisible()
  await expect(box).toHaveValue('000000')
  await box.fill(recovery[0]!)
  await theirs.getByRole('button', { name: 'Sign in' }).click()
  await expect(theirs).toHaveURL(/\/inbox\/mine$/)

  // Somebody who lost everything: an administrator takes the step away, and the password alone leads in.
  await page.goto('/settings/agents')
  await page.getByRole('link', { name: new RegExp(email.replaceAll('.', '\\.')) }).click()
  await expect(page.getByText('Signed in at')).toBeVisible()
  await bothThemes(page, 'access of a colleague')
  await page.getByRole('button', { name: 'Remove the second step' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove the second step' }).click()
  await expect(page.getByText('Signed in nowhere')).toBeVisible()
  await signIn(theirs, email)
  await expect(theirs).toHaveURL(/\/inbox\/mine$/)

  // A new password is asked for: nothing else opens before it is there.
  await page.getByRole('button', { name: 'Ask for a new password' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Ask for a new password' }).click()
  await expect(page.getByText('new one at next sign-in')).toBeVisible()
  await signIn(theirs, email)
  await expect(theirs.getByRole('heading', { name: 'Choose a new password' })).toBeVisible()
  await bothThemes(theirs, 'a new password before anything else')
  await theirs.getByLabel('Current password').fill(password)
  await theirs.getByLabel('New password', { exact: true }).fill(password + ' again')
  await theirs.getByRole('button', { name: 'Change the password' }).click()
  await expect(theirs.getByRole('navigation', { name: 'Main' })).toBeVisible()

  await page.getByRole('button', { name: 'Link for a new password' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Link for a new password' }).click()
  await expect(page.getByRole('dialog').getByLabel('Link', { exact: true })).toHaveValue(/\/invite\?token=/)
  await page.getByRole('dialog').getByRole('button', { name: 'Done' }).click()
  await context.close()
})

test('what must not be done from a desk left open asks for the password, and goes on', async ({ page }) => {
  await page.goto('/settings/tokens/new')
  // Ten minutes are too long for a test: the first answer is the one that comes after them.
  await page.route(
    '**/api/tokens',
    (r) => r.fulfill({ status: 403, json: { title: 'x', status: 403, code: 'reauth' } }),
    {
      times: 1,
    },
  )
  await page.getByRole('dialog').getByLabel('Name').fill('Proof')
  await page.getByRole('button', { name: 'Make the token' }).click()
  const ask = page.getByRole('dialog', { name: 'Is it still you?' })
  await expect(ask.getByLabel('Password', { exact: true })).toBeFocused()
  await bothThemes(page, 'asking for the password again')
  await ask.getByLabel('Password', { exact: true }).fill('wrong')
  await ask.getByRole('button', { name: 'Go on' }).click()
  await expect(ask.getByLabel('Password', { exact: true })).toHaveAttribute('aria-invalid', 'true')
  await ask.getByLabel('Password', { exact: true }).fill(world.password)
  await ask.getByRole('button', { name: 'Go on' }).click()
  await expect(page.getByLabel('Secret')).toHaveValue(/^prl_/)
  await page.getByRole('button', { name: 'Done' }).click()
})

test('the rules of signing in are set, with the advice against two of them', async ({ page }) => {
  await page.goto('/settings/signin')
  const rotate = page.getByRole('switch', { name: 'Ask for a new password from time to time' })
  await expect(rotate).not.toBeChecked()
  await expect(page.getByText('NIST (800-63B)')).toHaveCount(0)
  await rotate.click()
  await expect(page.getByText('NIST (800-63B)')).toBeVisible()
  await page.getByLabel('Every (days)').fill('20')
  await page.getByRole('checkbox', { name: 'Auditor' }).check()
  await page.getByLabel('Words that add nothing').fill('Habesha\nfitness')
  await page.getByRole('button', { name: 'Save' }).click()
  // The browser itself says what is wrong with a number.
  const tooFew = (el: HTMLInputElement) => el.validity.rangeUnderflow
  expect(await page.getByLabel('Every (days)').evaluate(tooFew)).toBe(true)
  await page.getByLabel('Every (days)').fill('365')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('The settings are saved.')).toBeVisible()
  await bothThemes(page, 'the rules of signing in')
  await page.reload()
  await expect(page.getByLabel('Every (days)')).toHaveValue('365')
  await expect(page.getByLabel('Words that add nothing')).toHaveValue('fitness\nhabesha')
  await rotate.click()
  await page.getByRole('checkbox', { name: 'Auditor' }).uncheck()
  await page.getByLabel('Words that add nothing').fill('')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('The settings are saved.')).toBeVisible()
})

test('the audit is narrowed by kind, person and day, and carried away', async ({ page }) => {
  await page.goto('/settings/audit')
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  await page.getByLabel('What').selectOption({ label: 'Signed in' })
  await page.getByLabel('Who').selectOption({ label: world.name })
  await expect(page.getByRole('row').nth(1)).toContainText('Signed in')
  await page.getByLabel('Until').fill('2020-01-01')
  await expect(page.getByText('Nothing here')).toBeVisible()
  await page.getByLabel('Until').fill('')
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Export' }).click()
  expect((await download).suggestedFilename()).toBe('audit.csv')
})
