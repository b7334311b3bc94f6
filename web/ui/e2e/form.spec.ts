import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { world } from './world'

/** A shop on another origin, with whatever stands in its page. */
class Shop {
  body = ''
  private constructor(private readonly server: Server) {}

  static async open(): Promise<Shop> {
    const server = createServer((_, answer) => {
      answer.setHeader('Content-Type', 'text/html; charset=utf-8')
      answer.end(
        `<!doctype html><html lang="en"><title>Shop</title><main><h1>Shop</h1>${shop.body}</main></html>`,
      )
    })
    const shop = new Shop(server)
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    return shop
  }
  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }
  close(): void {
    this.server.close()
    this.server.closeAllConnections()
  }
}

const own = (base: string) => `${base} ${Math.random().toString(36).slice(2, 7)}`
const row = (page: Page, name: string) => page.getByRole('link').filter({ hasText: name }).first()

let shop: Shop
let script = ''
let plain = ''
let settings = ''
test.beforeAll(async () => {
  shop = await Shop.open()
})
test.afterAll(() => shop.close())

test('a form is made, and its page and its settings are accessible', async ({ page }, info) => {
  await page.goto('/settings/channels/new/webform')
  await page.getByLabel('Name', { exact: true }).fill(own('Shop form'))
  await page.getByLabel('Sites that may show it').fill('https://example.org/with/a/path')
  await page.getByRole('button', { name: 'Add a field' }).click()
  await page.getByRole('group', { name: 'Field 5' }).getByLabel('Label').fill('Size')
  await page.getByRole('group', { name: 'Field 5' }).getByLabel('Kind').selectOption('select')
  await page.getByRole('group', { name: 'Field 5' }).getByLabel('Choices').fill('Small\nLarge')
  await page.getByRole('button', { name: 'Add a channel' }).click()
  // The complaint stands where the mistake is, and everything typed is there still.
  await expect(page.getByLabel('Sites that may show it')).toHaveAttribute('aria-invalid', 'true')
  await page.getByLabel('Sites that may show it').fill(shop.origin)
  await page.getByRole('button', { name: 'Add a channel' }).click()
  await expect(page.getByRole('heading', { level: 2, name: 'Put it on your site' })).toBeVisible()
  settings = page.url()
  script = await page.getByLabel('Ready-made form').inputValue()
  plain = await page.getByLabel('Your own form').inputValue()
  expect(script).toContain('/form.js')
  const preview = page.frameLocator('iframe[title="Preview"]')
  await expect(preview.getByLabel('Size')).toBeVisible()
  for (const width of [360, 768, 1440]) {
    await page.setViewportSize({ width, height: 900 })
    await expectNoSideways(page, `form settings ${width}`)
  }
  for (const theme of ['light', 'dark'] as const) {
    await setTheme(page, theme)
    await expectAccessible(page, `form settings, ${theme}`)
    await info.attach(`form-${theme}`, {
      body: await page.screenshot({ fullPage: true }),
      contentType: 'image/png',
    })
  }
})

test('a visitor of another site is on the open screen within a second, once', async ({
  page,
  browser,
}, info) => {
  const name = own('Ada')
  await page.goto('/inbox/all')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox')
  shop.body = script
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const visitor = await context.newPage()
  const complaints: string[] = []
  visitor.on('pageerror', (e) => complaints.push(e.message))
  visitor.on('console', (m) => m.type() === 'error' && complaints.push(m.text()))
  await visitor.goto(`${shop.origin}/landing?utm_source=poster&utm_campaign=spring`)
  await visitor.goto(`${shop.origin}/buy`)
  await visitor.getByLabel('Your name').fill(name)
  await visitor.getByLabel('E-mail').fill('not an address')
  await visitor.getByRole('button', { name: 'Send' }).click() // the browser itself complains
  await visitor.getByLabel('E-mail').fill('ada@example.org')
  await visitor.getByLabel('Size').selectOption('Large')
  await visitor.getByLabel('Message').fill('Do you ship to Adama?')
  const answered = visitor.waitForResponse(
    (r) => r.request().method() === 'POST' && r.url().includes('/forms/'),
  )
  await visitor.getByRole('button', { name: 'Send' }).dblclick()
  expect((await answered).status()).toBe(200)
  const since = Date.now()
  await expect(row(page, name)).toBeVisible({ timeout: 1000 })
  info.annotations.push({ type: 'on the screen after', description: `${Date.now() - since} ms` })
  await expect(visitor.getByRole('status')).toContainText('Thank you')
  await expect(visitor.getByLabel('Your name')).toHaveValue('')
  await expectAccessible(visitor, 'the form on the shop', ['region'])
  expect(complaints).toEqual([])
  await context.close()

  await row(page, name).click()
  const card = page.getByRole('definition')
  await expect(card.filter({ hasText: 'Do you ship to Adama?' })).toHaveCount(1)
  await expect(card.filter({ hasText: 'Large' })).toBeVisible()
  // Nothing can be answered here, and the screen says what can be done.
  await expect(page.getByText('there is no way to answer here')).toBeVisible()
  await expect(page.getByRole('link', { name: 'Write to ada@example.org' })).toBeVisible()
  await expect(page.getByText('not proven').first()).toBeVisible()
  await expect(page.getByText('poster').first()).toBeVisible()
  for (const theme of ['light', 'dark'] as const) {
    await setTheme(page, theme)
    await expectAccessible(page, `a form in the thread, ${theme}`)
    await info.attach(`thread-${theme}`, { body: await page.screenshot(), contentType: 'image/png' })
  }
  await page.getByRole('button', { name: 'Note for the team' }).click()
  await page.getByRole('textbox', { name: 'Note' }).fill('Called back, wants two')
  await page.getByRole('button', { name: 'Add note' }).click()
  await expect(page.getByText('Called back, wants two').first()).toBeVisible()
  await page.setViewportSize({ width: 360, height: 800 })
  await expectNoSideways(page, 'a form in the thread, 360')
  await info.attach('thread-360', { body: await page.screenshot(), contentType: 'image/png' })
})

test('a plain form without scripts works; a known number is taken and not believed', async ({
  page,
  browser,
}) => {
  const known = own('Sara')
  const stranger = own('Mallory')
  const phone = `+2519${Math.floor(10_000_000 + Math.random() * 89_999_999)}`
  const headers = { Origin: new URL(world.url).origin }
  const made = await page.request.post('/api/contacts', {
    data: { name: known, identities: [{ kind: 'phone', value: phone }] },
    headers,
  })
  expect(made.ok()).toBe(true)
  await page.goto('/inbox/all')
  shop.body = plain
  const context = await browser.newContext({
    javaScriptEnabled: false,
    storageState: { cookies: [], origins: [] },
  })
  const visitor = await context.newPage()
  await visitor.goto(shop.origin)
  await visitor.getByLabel('Your name').fill(stranger)
  await visitor.getByLabel('Telephone').fill(phone)
  await visitor.getByRole('button', { name: 'Send' }).click()
  await expect(visitor.getByRole('status')).toContainText('Thank you')
  await expect(visitor.getByText(known)).toHaveCount(0)
  await context.close()

  await row(page, stranger).click()
  await expect(page.getByText('not checked').first()).toBeVisible()
  await expect(page.getByText(`Claims to be ${known}`)).toBeVisible()
  await page.getByRole('button', { name: `Compare with ${known}` }).click()
  await expect(page.getByRole('dialog')).toContainText(known)
})

test('a site that is not named is refused', async ({ page, browser }) => {
  const other = await Shop.open()
  other.body = script
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  const visitor = await context.newPage()
  const failed = visitor.waitForEvent(
    'requestfailed',
    (r) => r.url().includes('/forms/') && !r.url().endsWith('.js'),
  )
  await visitor.goto(other.origin)
  // The browser keeps from the page what the hub answers; asked in its name, it refuses.
  const answer = await page.request.get((await failed).url(), { headers: { Origin: other.origin } })
  expect(answer.status()).toBe(403)
  await expect(visitor.getByRole('button')).toHaveCount(0)
  await context.close()
  other.close()
  // and the form goes with its channel
  await page.goto(settings)
  await expect(page.getByRole('heading', { level: 2, name: 'Preview' })).toBeVisible()
})
