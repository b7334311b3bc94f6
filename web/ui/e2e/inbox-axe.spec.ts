import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { answer, connect, Customer, messages, openThread, picture, row } from './customers'
import { world } from './world'

test.skip(!world.telegramUrl, 'needs a fake Bot API (PARLEY_E2E_TELEGRAM_URL)')

const widths = [360, 768, 1440]
const themes = ['light', 'dark'] as const
let sara: Customer

test.beforeAll(async ({ browser }) => {
  const context = await browser.newContext({
    storageState: test.info().project.use.storageState,
    baseURL: world.url,
  })
  await connect(context.request)
  const page = await context.newPage()
  await page.goto('/')
  sara = await Customer.meet('Sara Mekonnen', { lang: 'en', username: 'saramek' })
  await sara.says('Hi, I saw your offer for companies. Could somebody call me?')
  await sara.does('html', { text: 'More at <a href="https://example.com">our site</a>, <b>two</b> gyms' })
  await sara.does('album', {
    caption: 'Both',
    datas: [await picture(page, 'one'), await picture(page, 'two')],
  })
  await sara.does('contact', { name: 'Dawit Alemu', phone: '+251922334455' })
  await sara.does('location', { lat: 9.01, lon: 38.76 })
  await sara.does('document', { data: btoa('x'), name: 'report.txt', type: 'text/plain' })
  for (const [name, text] of [
    ['Дмитрий Орлов', 'Есть ли у вас доставка в Казань?'],
    ['ትዕግስት በቀለ', 'ሰላም፣ የአባልነት ዋጋ ስንት ነው?'],
    ['محمد الأمين', 'مرحبا، هل يمكنكم التوصيل؟'],
  ] as const) {
    await (await Customer.meet(name)).says(text)
  }
  await context.close()
})

for (const width of widths) {
  test(`list, thread and person are accessible at ${width}, light and dark`, async ({ page }, info) => {
    await page.setViewportSize({ width, height: 900 })
    await page.goto('/inbox/all')
    await expect(row(page, sara.name)).toBeVisible()
    for (const theme of themes) {
      await setTheme(page, theme)
      await expectNoSideways(page, `list ${width}`)
      await expectAccessible(page, `list, ${theme}, ${width}`)
      await info.attach(`list-${width}-${theme}`, { body: await page.screenshot(), contentType: 'image/png' })
    }
    await openThread(page, sara.name)
    await expect(messages(page).filter({ hasText: 'Both' }).locator('img')).toHaveCount(2)
    if (width === 1440) {
      await answer(page, 'Gladly, at two?')
      await sara.hears('Gladly, at two?')
      await page.getByRole('button', { name: 'Note for the team' }).click()
    }
    for (const theme of themes) {
      await setTheme(page, theme)
      await expectNoSideways(page, `thread ${width}`)
      await expectAccessible(page, `thread, ${theme}, ${width}`)
      await info.attach(`thread-${width}-${theme}`, {
        body: await page.screenshot(),
        contentType: 'image/png',
      })
    }
    if (width < 1180) {
      // The person covers the thread here.
      await page.keyboard.press('i')
      await expect(page.getByRole('region', { name: 'Person' })).toContainText(sara.name)
      for (const theme of themes) {
        await setTheme(page, theme)
        await expectNoSideways(page, `person ${width}`)
        await expectAccessible(page, `person, ${theme}, ${width}`)
      }
    }
  })
}

test('what opens over the inbox is accessible', async ({ page }) => {
  await openThread(page, sara.name)
  for (const theme of themes) {
    await setTheme(page, theme)
    await messages(page).first().hover()
    await page.getByRole('button', { name: 'React' }).click()
    await expectAccessible(page, `reactions, ${theme}`)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Emoji' }).click()
    await expectAccessible(page, `emoji, ${theme}`)
    await page.keyboard.press('Escape')
    await page
      .getByRole('region', { name: 'Conversation', exact: true })
      .getByRole('button', { name: 'Tags' })
      .click()
    await expectAccessible(page, `tags, ${theme}`)
    await page.keyboard.press('Escape')
    await page.keyboard.press('Control+f')
    await page.keyboard.type('offer')
    await expect(page.getByText('1 of 1')).toBeVisible()
    await expectAccessible(page, `find, ${theme}`)
    await page.keyboard.press('Escape')
    await row(page, sara.name).getByRole('checkbox').click({ force: true })
    await expectAccessible(page, `selection, ${theme}`)
    await page.getByRole('button', { name: 'Clear the selection' }).click()
    await page.getByRole('button', { name: 'More for this person' }).click()
    await page.getByRole('menuitem', { name: 'Merge with another contact' }).click()
    await expect(page.getByRole('dialog').getByRole('listitem').first()).toBeVisible()
    await expectAccessible(page, `merge, ${theme}`)
    await page.keyboard.press('Escape')
  }
})

for (const width of widths) {
  test(`contacts are accessible at ${width}, light and dark`, async ({ page }) => {
    await page.setViewportSize({ width, height: 900 })
    await page.goto('/contacts')
    await expect(page.getByRole('row').filter({ hasText: sara.name })).toBeVisible()
    for (const theme of themes) {
      await setTheme(page, theme)
      await expectNoSideways(page, `contacts ${width}`)
      await expectAccessible(page, `contacts, ${theme}, ${width}`)
    }
    await page.getByRole('row').filter({ hasText: sara.name }).getByRole('link').click()
    await expect(page.getByRole('region', { name: 'Person' })).toContainText(sara.name)
    for (const theme of themes) {
      await setTheme(page, theme)
      await expectNoSideways(page, `card ${width}`)
      await expectAccessible(page, `card, ${theme}, ${width}`)
    }
  })
}
