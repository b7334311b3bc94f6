import type { Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { connect, Customer, messages, row } from './customers'
import { world } from './world'

test.skip(!world.telegramUrl, 'needs a fake Bot API (PARLEY_E2E_TELEGRAM_URL)')

test.beforeAll(async ({ browser }) => {
  const context = await browser.newContext({
    storageState: test.info().project.use.storageState,
    baseURL: world.url,
  })
  await connect(context.request)
  await context.close()
})

const box = (page: Page) => page.getByRole('searchbox')
const hits = (page: Page) => page.locator('a[data-hit]')
const group = (page: Page, name: string) => page.getByRole('list', { name })
/** A word that nobody has said in another run. */
const own = () =>
  'q' +
  Math.random()
    .toString(36)
    .replace(/[^a-z]/g, '')
    .slice(0, 8)

/** The index follows a moment after the message. */
async function indexed(page: Page, q: string, count = 1): Promise<void> {
  await expect
    .poll(async () => {
      const answer = await page.request.get('/api/search?' + new URLSearchParams({ q }).toString())
      const found = (await answer.json()) as { messages: { items: unknown[] }; files: { items: unknown[] } }
      return found.messages.items.length + found.files.items.length
    })
    .toBeGreaterThanOrEqual(count)
}

test('people, messages and files are found, and opened at the place, by keyboard alone', async ({ page }) => {
  const word = own()
  const karin = await Customer.meet('Karin Blomqvist')
  const omar = await Customer.meet('Omar Said')
  await omar.says(`Where is the ${word} you promised?`)
  for (let i = 0; i < 70; i++) await omar.says(`Line ${i}`)
  await karin.says('Hej')
  await karin.does('document', { data: btoa('x'), name: `Contract ${word}.txt`, type: 'text/plain' })
  await page.goto('/inbox/all')
  await expect(row(page, karin.name)).toBeVisible()
  await indexed(page, word, 2)

  await page.keyboard.press('/')
  await page.keyboard.type(word)
  await expect(group(page, 'Messages').locator('mark')).toHaveText([word])
  await expect(group(page, 'Files').locator('mark')).toHaveText([word])
  await page.keyboard.press('ArrowDown')
  await expect(hits(page).first()).toBeFocused()
  await page.keyboard.press('End')
  await expect(hits(page).last()).toBeFocused()
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\?message=/)
  // Far above the newest: the timeline is opened around it.
  const said = messages(page).filter({ hasText: word })
  await expect(said).toBeInViewport()
  await expect(messages(page).filter({ hasText: 'Line 1' }).first()).toBeInViewport()

  // Elsewhere in the same conversation, and back by the address.
  await page.getByRole('button', { name: /newest/i }).click()
  await expect(messages(page).filter({ hasText: 'Line 69' })).toBeInViewport()
  await hits(page).first().click()
  await expect(said).toBeInViewport()
  await page.reload()
  await expect(said).toBeInViewport()

  await page.keyboard.press('/')
  await page.keyboard.press('Control+A')
  await page.keyboard.type(karin.name)
  await expect(group(page, 'People').getByRole('link')).toHaveCount(1)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await expect(box(page)).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(row(page, omar.name)).toBeVisible()

  await page.keyboard.press('Control+k')
  await page.keyboard.type(word)
  await page
    .getByRole('option', { name: new RegExp(word) })
    .first()
    .click()
  await expect(page).toHaveURL(/\?message=/)
})

test('three scripts, filters, and what to do when there is nothing or it takes too long', async ({
  page,
  quiet,
}) => {
  quiet.allow(/the server responded with a status of 503/)
  const word = own()
  const vera = await Customer.meet('Вера Орлова')
  const abebe = await Customer.meet('አበበ ቢቂላ')
  await vera.says(`Есть ли ёлка ${word}?`)
  await abebe.says(`ሠላም፡ዓለም ${word}`)
  await abebe.says(`https://example.com/${word}`)
  await page.goto('/inbox/all')
  await indexed(page, word, 3)
  await box(page).fill(`елк ${word}`)
  await expect(group(page, 'Messages').locator('mark')).toHaveText(['ёлка', word])
  await box(page).fill(`ሰላም ${word}`)
  await expect(group(page, 'Messages').locator('mark')).toHaveText(['ሠላም', word])
  await box(page).fill(word)
  await expect(group(page, 'Messages').getByRole('link')).toHaveCount(3)
  const links = page.getByRole('button', { name: 'Links', exact: true })
  await links.click()
  await expect(group(page, 'Messages').getByRole('link')).toHaveCount(1)
  await expect(links).toHaveAttribute('aria-pressed', 'true')
  await expect(box(page)).toHaveValue(`${word} has:link `)
  await links.click()
  await expect(group(page, 'Messages').getByRole('link')).toHaveCount(3)
  // A filter that is being typed takes nothing away.
  await box(page).fill(`${word} has:phot`)
  await expect(page.getByText(/^has: takes file, photo/)).toBeVisible()
  await expect(group(page, 'Messages').getByRole('link')).toHaveCount(3)
  await box(page).fill(word)
  await page.getByRole('button', { name: 'From me', exact: true }).click()
  await expect(page.getByText(/^Nothing found for/)).toBeVisible()
  await page.getByRole('button', { name: 'Clear the search' }).last().click()
  await expect(box(page)).toHaveValue('')

  await page.route('**/api/search?*', (route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({ title: 'Service Unavailable', status: 503, code: 'search_slow' }),
    }),
  )
  await box(page).fill(word)
  await expect(page.getByText('The search took too long')).toBeVisible()
  await page.unroute('**/api/search?*')
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(group(page, 'Messages').getByRole('link')).toHaveCount(3)
})

for (const width of [360, 768, 1440]) {
  test(`what was found is accessible at ${width}, light and dark`, async ({ page }, info) => {
    await page.setViewportSize({ width, height: 900 })
    const word = own()
    const sara = await Customer.meet('Sara Mekonnen')
    await sara.says(`Hello, is the ${word} still to be had? I would come by on Monday and take two of them.`)
    await sara.does('document', { data: btoa('x'), name: `${word} price list.pdf`, type: 'application/pdf' })
    await page.goto('/inbox/all')
    await indexed(page, word, 2)
    await box(page).fill(word)
    await expect(hits(page)).toHaveCount(2)
    for (const theme of ['light', 'dark'] as const) {
      await setTheme(page, theme)
      await expectNoSideways(page, `found ${width}`)
      await expectAccessible(page, `found, ${theme}, ${width}`)
      await info.attach(`found-${width}-${theme}`, {
        body: await page.screenshot(),
        contentType: 'image/png',
      })
    }
    await box(page).fill(sara.name)
    await expect(group(page, 'People').getByRole('link')).toHaveCount(1)
    await expectAccessible(page, `people, ${width}`)
    await box(page).fill('nothing' + word)
    await expect(page.getByText(/^Nothing found for/)).toBeVisible()
    await expectAccessible(page, `nothing found, ${width}`)
    await expectNoSideways(page, `nothing found ${width}`)
  })
}
