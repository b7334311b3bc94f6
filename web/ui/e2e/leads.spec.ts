import type { Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { colleague, connect, Customer } from './customers'
import { expect, test } from './console'
import { world } from './world'

test.skip(!world.telegramUrl, 'needs a fake Bot API (PARLEY_E2E_TELEGRAM_URL)')

const themes = ['light', 'dark'] as const
const column = (page: Page, name: string) => page.getByRole('region', { name: new RegExp(`^${name}, `) })
const card = (page: Page, name: string) => page.locator('li').filter({ hasText: name })

test.beforeAll(async ({ browser }) => {
  const context = await browser.newContext({
    storageState: test.info().project.use.storageState,
    baseURL: world.url,
  })
  await connect(context.request)
  await context.close()
})

async function stranger(name: string): Promise<Customer> {
  const customer = await Customer.meet(name)
  await customer.says('Do you have twelve chairs?')
  return customer
}

test('a stranger becomes a card; it is accepted, moved by keys and by mouse, and a colleague sees it', async ({
  page,
  browser,
}) => {
  const dawit = await stranger('Dawit Chairs')
  const context = await colleague(browser, page.request, 'Liya Haile')
  const other = await context.newPage()
  for (const p of [page, other]) {
    await p.goto('/leads')
    await expect(column(p, 'Incoming')).toContainText(dawit.name)
  }
  await column(page, 'Incoming')
    .getByRole('listitem')
    .filter({ hasText: dawit.name })
    .getByRole('button', { name: 'Accept' })
    .click()
  for (const p of [page, other]) await expect(column(p, 'First contact')).toContainText(dawit.name)

  await page.getByRole('link', { name: dawit.name }).focus()
  await page.keyboard.press('Shift+ArrowRight')
  for (const p of [page, other]) await expect(column(p, 'Offer')).toContainText(dawit.name)
  await expect(page.getByRole('link', { name: dawit.name })).toBeFocused()

  await card(page, dawit.name).first().dragTo(column(page, 'Agreement'))
  for (const p of [page, other]) await expect(column(p, 'Agreement')).toContainText(dawit.name)
  await page.reload()
  await expect(column(page, 'Agreement')).toContainText(dawit.name)

  await page.getByRole('button', { name: `Move “${dawit.name}” to another stage` }).click()
  await page.getByRole('menuitem', { name: 'Won' }).click()
  await expect(column(other, 'Won')).toContainText(dawit.name)
  await context.close()
})

test('what it is worth is typed at the person and summed above the column', async ({ page }) => {
  const sara = await stranger('Sara Sums')
  await page.goto('/leads')
  await page.getByRole('link', { name: sara.name }).click()
  const person = page.getByRole('region', { name: 'Person' })
  await person.getByRole('button', { name: /Change the amount/ }).click()
  await page.keyboard.type('1,250.50')
  await page.keyboard.press('Enter')
  await expect(card(page, sara.name).first()).toContainText('1,250.50')
  await expect(column(page, 'Incoming').getByRole('heading')).toContainText('US$')

  await page.getByRole('link', { name: 'Table' }).click()
  await expect(page.getByRole('row').filter({ hasText: sara.name })).toContainText('1,250.50')
  await page.getByRole('searchbox', { name: 'Search leads' }).fill('nobody is called so')
  await expect(page.getByText('No lead fits')).toBeVisible()
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await expect(page.getByRole('row').filter({ hasText: sara.name })).toBeVisible()
})

test('a pipeline is made, and shown on the board', async ({ page }) => {
  const name = `Service ${Date.now().toString(36)}`
  await page.goto('/settings/pipelines/new')
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Currency').fill('etb')
  await page.getByRole('button', { name: 'Add a stage' }).click()
  await page.getByRole('group', { name: 'Stage 3' }).getByLabel('Name of the stage').fill('Waiting')
  await page.getByRole('button', { name: 'New pipeline' }).click()
  await expect(page).toHaveURL(/\/settings\/pipelines$/)
  await expect(page.getByRole('link', { name: new RegExp(name) })).toContainText('5 stages · ETB')
  await page.goto('/leads')
  await page.getByLabel('Pipeline').selectOption({ label: name })
  await expect(page.getByText('No leads yet')).toBeVisible()
})

for (const width of [360, 768, 1440]) {
  test(`leads are accessible at ${width}, light and dark`, async ({ page }, info) => {
    await stranger('Ира Заказ')
    await page.setViewportSize({ width, height: 900 })
    for (const view of ['board', 'table'] as const) {
      await page.goto(`/leads/${view}`)
      await expect(page.getByRole('link', { name: /Ира Заказ/ }).first()).toBeVisible()
      for (const theme of themes) {
        await setTheme(page, theme)
        await expectNoSideways(page, `leads ${view} ${width}`)
        await expectAccessible(page, `leads ${view}, ${theme}, ${width}`)
        await info.attach(`leads-${view}-${width}-${theme}`, {
          body: await page.screenshot(),
          contentType: 'image/png',
        })
      }
    }
    await page.goto('/settings/pipelines/new')
    await expect(page.getByRole('group', { name: 'Stage 1' })).toBeVisible()
    await expectNoSideways(page, `pipeline ${width}`)
    await expectAccessible(page, `pipeline, ${width}`)
  })
}
