import type { BrowserContext, Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { answerBox, colleague, connect, Customer, messages, openThread, rename, row } from './customers'
import { world } from './world'

test.skip(!world.telegramUrl, 'needs a fake Bot API (PARLEY_E2E_TELEGRAM_URL)')

/** Whom a run finds again under no other name: a run of the same hub before may have hired one too. */
const friend = `Selam ${Math.random().toString(36).slice(2, 7)}`
let other: BrowserContext
test.beforeAll(async ({ browser }) => {
  const admin = await browser.newContext({
    storageState: test.info().project.use.storageState,
    baseURL: world.url,
  })
  await connect(admin.request)
  await rename(admin.request, world.name)
  other = await colleague(browser, admin.request, friend)
  await admin.close()
})
test.afterAll(async () => {
  await other?.close()
})

/** Another device of the same person: the session is his, what this browser keeps is not. */
async function device(page: Page): Promise<BrowserContext> {
  const { cookies } = await page.context().storageState()
  return page
    .context()
    .browser()!
    .newContext({ storageState: { cookies, origins: [] }, baseURL: world.url })
}

const noteBox = (page: Page) => page.getByRole('textbox', { name: 'Note' })
const bell = (page: Page) => page.getByRole('button', { name: /^Notifications/ }).filter({ visible: true })

test('a draft is on my other device while I type, and gone there when it is sent', async ({ page }) => {
  const sara = await Customer.meet('Sara')
  await sara.says('Hello')
  await openThread(page, sara.name)
  const phone = await device(page)
  const second = await phone.newPage()
  await openThread(second, sara.name)
  await answerBox(page).click()
  await page.keyboard.type('We open at seven')
  await expect(answerBox(second)).toHaveText('We open at seven')
  // It goes on there.
  await answerBox(second).press('End')
  await second.keyboard.type(', every day')
  await expect(answerBox(page)).toHaveText('We open at seven, every day')
  await expect(page.getByText('Draft saved')).toBeVisible()
  await page.keyboard.press('Control+Enter')
  await sara.hears('We open at seven, every day')
  await expect(answerBox(second)).toHaveText('')
  await second.reload()
  await expect(messages(second).last()).toContainText('every day')
  await expect(answerBox(second)).toHaveText('')
  await phone.close()
})

test('a canned answer is written once and inserted by a slash, with the name of the customer', async ({
  page,
}) => {
  await page.goto('/settings/canned/new')
  const title = `Prices ${crypto.randomUUID().slice(0, 6)}`
  await page.getByLabel('Title').fill(title)
  await page.getByLabel('Shortcut').fill('prices')
  await page.getByLabel('Text', { exact: true }).fill('Dear , a month is 900 birr.')
  await page
    .getByLabel('Text', { exact: true })
    .evaluate((box: HTMLTextAreaElement) => box.setSelectionRange(5, 5))
  await page.getByRole('button', { name: '{{contact.first_name}}' }).click()
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: title })).toContainText('Used 0 times')

  const abel = await Customer.meet('Abel')
  await abel.says('What does it cost?')
  await openThread(page, abel.name)
  await answerBox(page).click()
  await page.keyboard.type('/pri')
  await expect(page.getByRole('listbox', { name: 'Canned answers' })).toBeVisible()
  await expect(page.getByRole('option', { name: title })).toHaveAttribute('aria-selected', 'true')
  await expectAccessible(page, 'canned answers', [])
  await page.keyboard.press('Enter')
  await expect(answerBox(page)).toHaveText('Dear Abel, a month is 900 birr.')
  await page.keyboard.press('Control+Enter')
  await abel.hears('Dear Abel, a month is 900 birr.')
  await page.goto('/settings/canned')
  await expect(page.getByRole('listitem').filter({ hasText: title })).toContainText('Used 1 time')
})

test('a saved view is a tab whose number and rows follow', async ({ page }) => {
  const tag = `vip${crypto.randomUUID().slice(0, 4)}`
  const marta = await Customer.meet('Marta')
  await marta.says('Hello')
  await openThread(page, marta.name)
  const id = page.url().split('/').pop()!
  const tagged = (tags: string[]) =>
    page.request.patch(`/api/conversations/${id}`, {
      data: { tags },
      headers: { Origin: new URL(world.url).origin },
    })
  expect((await tagged([tag])).ok()).toBe(true)
  await page.reload()
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: 'New view' }).click()
  const dialog = page.getByRole('dialog', { name: 'New view' })
  await dialog.getByLabel('Name').fill(`Only ${tag}`)
  await dialog.getByLabel('Tag').selectOption(tag)
  await expectAccessible(page, 'view dialog')
  await dialog.getByRole('button', { name: 'Save' }).click()
  const tab = page
    .getByRole('navigation', { name: 'Views' })
    .getByRole('link', { name: new RegExp(`Only ${tag}`) })
  await expect(tab).toHaveAttribute('aria-current', 'page')
  await expect(tab).toContainText('1')
  await expect(row(page, marta.name)).toBeVisible()
  expect((await tagged([])).ok()).toBe(true)
  await expect(tab).toContainText('0')
  await expect(row(page, marta.name)).toHaveCount(0)
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: `Change “Only ${tag}”` }).click()
  await page.getByRole('button', { name: 'Remove the view' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove the view' }).click()
  await expect(tab).toHaveCount(0)
})

test('a mention makes a note, rings the bell of the one who is meant, and stands in his view', async ({
  page,
}) => {
  const lulit = await Customer.meet('Lulit')
  await lulit.says('I want my money back')
  const second = await other.newPage()
  await second.goto('/inbox/mine')
  await openThread(page, lulit.name)
  await answerBox(page).click()
  await page.keyboard.type(`@${friend.split(' ')[1]}`)
  await expect(page.getByRole('option', { name: friend })).toBeVisible()
  await expectAccessible(page, 'mentions')
  await page.keyboard.press('Tab')
  await expect(noteBox(page)).toHaveText(`@${friend}`)
  await page.keyboard.type('please look')
  await page.keyboard.press('Control+Enter')
  await expect(messages(page).last()).toContainText(`@${friend} please look`)
  await expect(bell(second)).toHaveAccessibleName(/unread/)
  await bell(second).click()
  await expect(second.getByRole('dialog', { name: 'Notifications' })).toContainText(
    'Nadia Kebede mentioned you',
  )
  await expectAccessible(second, 'bell')
  await second
    .getByRole('dialog', { name: 'Notifications' })
    .getByRole('link', { name: new RegExp(lulit.name) })
    .click()
  await expect(second).toHaveURL(/\/inbox\/mentions\/\d+$/)
  await expect(row(second, lulit.name)).toBeVisible()
  await expect(bell(second)).toHaveAccessibleName('Notifications')
  expect(await lulit.got()).toEqual([])
  await second.close()
})

test('many are closed at once in the background, and opened again', async ({ page }) => {
  const people = [await Customer.meet('Bulk'), await Customer.meet('Bulk')]
  for (const p of people) await p.says('Hello')
  await page.goto('/inbox/all')
  for (const p of people) {
    await row(page, p.name).hover()
    await row(page, p.name).getByRole('checkbox').click()
  }
  const bar = page.getByRole('toolbar', { name: 'Selected conversations' })
  await expect(bar).toContainText('2 selected')
  await expectAccessible(page, 'bulk bar')
  await bar.getByRole('button', { name: 'Close', exact: true }).click()
  await expect(page.getByText('2 conversations changed')).toBeVisible()
  await page.mouse.move(1000, 300) // rows move when the pointer is not over them
  for (const p of people) await expect(row(page, p.name)).toHaveCount(0)
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByText('2 conversations are as they were')).toBeVisible()
  for (const p of people) await expect(row(page, p.name)).toBeVisible()
})

test('it can be installed, and its shell is there without a network', async ({ page, context }) => {
  const manifest = await page.request.get('/manifest.webmanifest')
  expect(manifest.headers()['content-type']).toContain('application/manifest+json')
  for (const icon of ((await manifest.json()) as { icons: { src: string }[] }).icons)
    expect((await page.request.get(icon.src)).headers()['content-type']).toBe('image/png')
  await page.goto('/inbox/all')
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  await page.reload() // its files go through the worker now
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox')
  const kept = await page.evaluate(async () => (await caches.match('/')) !== undefined)
  expect(kept).toBe(true)
  const api = await page.evaluate(async () => {
    for (const name of await caches.keys())
      for (const request of await (await caches.open(name)).keys())
        if (new URL(request.url).pathname.startsWith('/api/')) return request.url
    return ''
  })
  expect(api).toBe('')
  void context
})

for (const width of [360, 768, 1440]) {
  test(`bell, views and selection are accessible at ${width}, light and dark`, async ({ page }, info) => {
    await page.setViewportSize({ width, height: 900 })
    const one = await Customer.meet('Wide')
    await one.says('Hello')
    for (const theme of ['light', 'dark'] as const) {
      await page.goto('/inbox/all')
      await setTheme(page, theme)
      await row(page, one.name).hover()
      await row(page, one.name).getByRole('checkbox').click()
      await expectNoSideways(page, `selection ${width}`)
      await expectAccessible(page, `selection, ${theme}, ${width}`)
      await info.attach(`selection-${width}-${theme}`, {
        body: await page.screenshot(),
        contentType: 'image/png',
      })
      await bell(page).click()
      await expect(page.getByRole('dialog', { name: 'Notifications' })).toBeVisible()
      await expectNoSideways(page, `bell ${width}`)
      await expectAccessible(page, `bell, ${theme}, ${width}`)
      await info.attach(`bell-${width}-${theme}`, { body: await page.screenshot(), contentType: 'image/png' })
    }
  })
}
