import type { BrowserContext, Page } from '@playwright/test'
import { expectNoSideways } from './axe'
import { expect, test } from './console'
import {
  answer,
  answerBox,
  colleague,
  connect,
  Customer,
  fault,
  messages,
  noFaults,
  openThread,
  picture,
  rename,
  row,
} from './customers'
import { world } from './world'

test.skip(!world.telegramUrl, 'needs a fake Bot API (PARLEY_E2E_TELEGRAM_URL)')

let other: BrowserContext
test.beforeAll(async ({ browser }) => {
  const admin = await browser.newContext({ storageState: test.info().project.use.storageState })
  await connect(admin.request)
  await rename(admin.request, world.name)
  other = await colleague(browser, admin.request, 'Amanuel Okbay')
  await admin.close()
})
test.afterAll(async () => {
  await other?.close()
})
test.afterEach(async () => {
  await noFaults()
})

const status = (page: Page, text: string) =>
  messages(page).filter({ hasText: text }).locator('[data-status]').first()

test('a message is on both screens, is answered, ticked, given away, closed, and all of it stays', async ({
  page,
}) => {
  const second = await other.newPage()
  await Promise.all([page.goto('/inbox/unassigned'), second.goto('/inbox/unassigned')])
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Inbox')

  const sara = await Customer.meet('Sara', { lang: 'en' })
  await sara.says('Do you have a gym in Bole?')
  for (const screen of [page, second]) {
    await expect(row(screen, sara.name)).toContainText('Do you have a gym in Bole?')
    await expect(row(screen, sara.name)).toContainText('1 unread')
  }

  await openThread(page, sara.name, 'unassigned')
  await openThread(second, sara.name, 'unassigned')
  await expect(messages(page)).toContainText(['Do you have a gym in Bole?'])
  // Read by me, not by my colleague.
  await expect(row(page, sara.name)).not.toContainText('unread')

  await answerBox(page).click()
  await page.keyboard.type('Yes, two of them.')
  await expect(second.getByText('Nadia Kebede is typing').first()).toBeVisible()
  await page.keyboard.press('Control+Enter')
  await expect(messages(page).last()).toContainText('Yes, two of them.')
  await expect(messages(second).last()).toContainText('Yes, two of them.')
  const heard = await sara.hears('Yes, two of them.')
  await expect(status(page, 'Yes, two of them.')).toHaveAttribute('data-status', /sent|delivered|read/)
  await expect(status(second, 'Yes, two of them.')).toHaveAttribute('data-status', /sent|delivered|read/)

  // Who answers first owns it: it has left the queue on both screens.
  await expect(page.getByRole('button', { name: 'Assigned to: You' })).toBeVisible()
  await expect(second.getByRole('button', { name: 'Assigned to: Nadia Kebede' })).toBeVisible()

  await sara.does('react', { message_id: heard.id, emoji: '👍' })
  await expect(
    messages(page).filter({ hasText: 'Yes, two of them.' }).getByRole('button', { name: /^👍/ }),
  ).toBeVisible()
  await sara.does('reply', { message_id: heard.id, text: 'Great, when can I come?' })
  await expect(messages(page).last()).toContainText('Great, when can I come?')
  await expect(
    messages(page)
      .last()
      .getByRole('button', { name: /In reply to Nadia/ }),
  ).toBeVisible()

  await page.getByRole('button', { name: 'Assigned to: You' }).click()
  await page.getByRole('menuitem', { name: 'Amanuel Okbay' }).last().click()
  await expect(second.getByRole('button', { name: 'Assigned to: You' })).toBeVisible()
  await expect(page.getByRole('log')).toContainText('You gave this to Amanuel Okbay')
  await second.goto('/inbox/mine')
  await expect(row(second, sara.name)).toBeVisible()

  await openThread(second, sara.name, 'mine')
  await second.getByRole('button', { name: 'Close', exact: true }).click()
  await expect(row(second, sara.name)).toHaveCount(0)
  await expect(page.getByRole('log')).toContainText('Amanuel Okbay closed this')
  await expect(page.getByRole('button', { name: 'Open again' })).toBeVisible()

  await page.reload()
  await expect(messages(page)).toHaveCount(3)
  await expect(page.getByRole('button', { name: 'Open again' })).toBeVisible()
  await second.close()
})

test('a message can be taken back before it goes, and its words return', async ({ page }) => {
  const abel = await Customer.meet('Abel')
  await abel.says('Hello')
  await openThread(page, abel.name)
  await answer(page, 'Wrong price, sorry')
  await page.getByRole('button', { name: /^Undo, \d s/ }).click()
  await expect(answerBox(page)).toHaveText('Wrong price, sorry')
  await expect(messages(page)).toHaveCount(1)
  await answerBox(page).press('Control+A')
  await page.keyboard.type('The right price')
  await page.keyboard.press('Control+Enter')
  await abel.hears('The right price')
  expect((await abel.got()).map((m) => m.text)).toEqual(['The right price'])
})

test('a note never leaves the house', async ({ page }) => {
  const hana = await Customer.meet('Hana')
  await hana.says('Is there a discount?')
  await openThread(page, hana.name)
  await page.keyboard.press('n')
  await expect(page.getByRole('textbox', { name: 'Note' })).toBeFocused()
  await page.keyboard.type('She asked last year too')
  await page.keyboard.press('Control+Enter')
  await expect(messages(page).last()).toContainText('only the team sees this')
  await answer(page, 'Ten percent')
  await hana.hears('Ten percent')
  expect((await hana.got()).map((m) => m.text)).toEqual(['Ten percent'])
})

test('an answer that crosses a new message is asked about once', async ({ page }) => {
  let muted = false
  await page.routeWebSocket(/\/api\/live$/, (socket) => {
    const server = socket.connectToServer()
    server.onMessage((frame) => {
      if (!muted || !String(frame).includes('"event"')) socket.send(frame)
    })
  })
  const dawit = await Customer.meet('Dawit')
  await dawit.says('Please book me for Monday')
  await openThread(page, dawit.name)
  muted = true
  await dawit.says('No, Tuesday!')
  // The list of another browser knows when the second message is in the database.
  const second = await other.newPage()
  await second.goto('/inbox/all')
  await expect(row(second, dawit.name)).toContainText('No, Tuesday!')
  await second.close()

  await answer(page, 'Booked for Monday')
  const ask = page.getByRole('alertdialog', { name: /1 new message/ })
  await expect(ask).toContainText('No, Tuesday!')
  await expect(answerBox(page)).toHaveText('Booked for Monday')
  expect(await dawit.got()).toEqual([])
  await ask.getByRole('button', { name: 'Send anyway' }).click()
  await expect(ask).toHaveCount(0)
  await dawit.hears('Booked for Monday')
})

test('what failed says why and is sent again; what is uncertain is decided by a person', async ({ page }) => {
  const rosa = await Customer.meet('Rosa')
  await rosa.says('Hola')
  await openThread(page, rosa.name)

  await fault('refuse', { code: 400, description: 'Bad Request: that is too odd' })
  await answer(page, 'First try')
  const failed = messages(page).filter({ hasText: 'First try' })
  await expect(failed.locator('[data-status]')).toHaveAttribute('data-status', 'failed', { timeout: 20_000 })
  await failed.getByRole('button', { name: 'Send again' }).click()
  await rosa.hears('First try')
  await expect(failed.locator('[data-status]')).toHaveAttribute('data-status', 'sent')

  await fault('cut_after')
  await answer(page, 'Did it arrive?')
  const unsure = messages(page).filter({ hasText: 'Did it arrive?' })
  await expect(unsure.locator('[data-status]')).toHaveAttribute('data-status', 'uncertain', {
    timeout: 20_000,
  })
  await unsure.getByRole('button', { name: 'It arrived' }).click()
  await expect(unsure.locator('[data-status]')).toHaveAttribute('data-status', 'sent')
  expect((await rosa.got()).filter((m) => m.text === 'Did it arrive?')).toHaveLength(1)
})

test('nothing typed is lost: drafts live through a reload, answers through a dead network', async ({
  page,
  context,
  quiet,
}) => {
  quiet.allow(/WebSocket|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION/)
  const piet = await Customer.meet('Piet')
  const elena = await Customer.meet('Elena')
  await piet.says('Could you split the invoice?')
  await elena.says('Good morning')
  await openThread(page, piet.name)
  await answerBox(page).click()
  // In the middle of the text too the caret stays where it is.
  await page.keyboard.type('I will ask bookkeeper')
  for (let i = 0; i < 'bookkeeper'.length; i++) await page.keyboard.press('ArrowLeft')
  await page.keyboard.type('our ')
  await expect(answerBox(page)).toHaveText('I will ask our bookkeeper')
  await openThread(page, elena.name)
  await expect(answerBox(page)).toHaveText('')
  await expect(row(page, piet.name)).toContainText('Draft: I will ask our bookkeeper')
  await page.reload()
  await expect(row(page, piet.name)).toContainText('Draft: I will ask our bookkeeper')
  await openThread(page, piet.name)
  await expect(answerBox(page)).toHaveText('I will ask our bookkeeper')

  await context.setOffline(true)
  await answerBox(page).press('Control+Enter')
  await expect(messages(page).last()).toContainText('Kept here')
  await context.setOffline(false)
  await piet.hears('I will ask our bookkeeper')
  await expect(messages(page).last().locator('[data-status]')).toHaveAttribute('data-status', /sent/)
})

test('what a customer sends is shown and never executed', async ({ page }) => {
  const marcus = await Customer.meet('Marcus')
  await marcus.says('Hello')
  await openThread(page, marcus.name)
  await marcus.says('<img src=x onerror=alert(1)><b>not bold</b>')
  await expect(messages(page).last()).toContainText('<img src=x onerror=alert(1)><b>not bold</b>')
  await marcus.does('html', { text: 'A <b>bold</b> word and <a href="https://example.com/a">a link</a>' })
  await expect(messages(page).last().locator('b')).toHaveText('bold')
  await expect(messages(page).last().getByRole('link', { name: 'a link' })).toHaveAttribute(
    'href',
    'https://example.com/a',
  )

  const pictures = [await picture(page, 'one'), await picture(page, 'two'), await picture(page, 'three')]
  await marcus.does('album', { caption: 'Three pictures', datas: pictures })
  const album = messages(page).filter({ hasText: 'Three pictures' })
  await expect(album.getByRole('button', { name: /^Open/ })).toHaveCount(3)
  await album.getByRole('button', { name: /^Open/ }).first().click()
  await expect(page.getByRole('dialog').locator('img')).toBeVisible()
  await page.keyboard.press('ArrowRight')
  await expect(page.getByRole('dialog')).toContainText('2 / 3')
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)

  await marcus.does('location', { lat: 9.0108, lon: 38.7613 })
  await expect(messages(page).last().getByRole('link')).toHaveAttribute('href', /openstreetmap/)
  await marcus.does('contact', { name: 'Dawit Alemu', phone: '+251922334455' })
  await expect(messages(page).last()).toContainText('Dawit Alemu')
  await marcus.does('document', { data: btoa('a report'), name: 'report.txt', type: 'text/plain' })
  await expect(
    messages(page)
      .last()
      .getByRole('link', { name: /report\.txt/ }),
  ).toBeVisible()
})

test('attachments, formatting and an edit reach the customer', async ({ page }) => {
  const grace = await Customer.meet('Grace')
  await grace.says('Can I see the room?')
  await openThread(page, grace.name)
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('button', { name: 'Attach files' }).click()
  await (
    await chooser
  ).setFiles({
    name: 'room.jpg',
    mimeType: 'image/jpeg',
    buffer: Buffer.from(await picture(page, 'room'), 'base64'),
  })
  await expect(page.getByRole('list', { name: 'Attached files' })).toContainText('room.jpg')
  await answer(page, 'Here it is')
  await expect.poll(async () => (await grace.got()).length, { timeout: 20_000 }).toBe(1)
  expect((await grace.got())[0]!.kind).toBe('photo')

  await answerBox(page).click()
  await page.keyboard.type('It is ')
  await page.keyboard.press('Control+b')
  await page.keyboard.type('free')
  await page.keyboard.press('Control+b')
  await page.keyboard.type(' on Monday')
  await page.keyboard.press('Control+Enter')
  await grace.hears('It is free on Monday')
  await expect(messages(page).last().locator('b')).toHaveText('free')

  await expect(status(page, 'It is free on Monday')).toHaveAttribute('data-status', /sent/)
  await answerBox(page).press('ArrowUp')
  await expect(page.getByText('You are correcting a sent message')).toBeVisible()
  await answerBox(page).press('Control+A')
  await page.keyboard.type('It is free on Tuesday')
  await page.keyboard.press('Control+Enter')
  await expect
    .poll(async () => (await grace.got()).at(-1), { timeout: 20_000 })
    .toMatchObject({ edited: true })
  await expect(messages(page).last()).toContainText('It is free on Tuesday')
  await expect(messages(page).last().getByRole('button', { name: 'edited' })).toBeVisible()
})

test('the mouse is optional', async ({ page }) => {
  const first = await Customer.meet('Key One')
  const second = await Customer.meet('Key Two')
  await page.goto('/inbox/all')
  // Telegram tells time in seconds: of two that come at once either may stand above.
  await first.says('One')
  await expect(row(page, first.name)).toBeVisible()
  await second.says('Two')
  await expect(row(page, second.name)).toBeVisible()
  await page.keyboard.press('j')
  await expect(page.locator('[data-row]').first().getByRole('link')).toBeFocused()
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  await page.keyboard.press('x')
  await expect(page.getByRole('toolbar', { name: 'Selected conversations' })).toContainText('1 selected')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Enter')
  const heading = page.getByRole('region', { name: 'Conversation', exact: true }).getByRole('heading').first()
  await expect(heading).toHaveText(second.name)
  await expect(messages(page).first()).toBeVisible()
  await page.keyboard.press('r')
  await expect(answerBox(page)).toBeFocused()
  await page.keyboard.type('By keyboard')
  await page.keyboard.press('Control+Enter')
  await second.hears('By keyboard')
  await page.keyboard.press('Escape')
  await page.keyboard.press('a')
  await expect(page.getByRole('menu')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('menu')).toHaveCount(0)
  await page.keyboard.press('e')
  await expect(row(page, second.name)).toHaveCount(0)
  await expect(heading).not.toHaveText(second.name)
})

test('one pane at a time on a telephone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  const amina = await Customer.meet('Amina')
  await amina.says('ሰላም')
  await page.goto('/inbox/all')
  await expect(row(page, amina.name)).toBeVisible()
  await expectNoSideways(page, 'list')
  await openThread(page, amina.name)
  await expect(row(page, amina.name)).toBeHidden()
  await expectNoSideways(page, 'thread')
  await answer(page, 'እንደምን ነዎት')
  await amina.hears('እንደምን ነዎት')
  await page.getByRole('button', { name: new RegExp(`^${amina.name}, Show the person`) }).click()
  await expect(page.getByRole('region', { name: 'Person' })).toContainText(amina.name)
  await expectNoSideways(page, 'person')
  await page.getByRole('region', { name: 'Person' }).getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: 'Back to the list' }).click()
  await expect(row(page, amina.name)).toBeVisible()
})

test('two cards of one person are merged, and parted again', async ({ page }) => {
  const anna = await Customer.meet('Anna Petrova')
  await anna.says('Добрый день')
  const number = `+25191${String(Date.now()).slice(-7)}`
  await page.goto('/contacts')
  await page.getByRole('button', { name: 'New contact' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill(anna.name)
  await dialog.getByLabel('Telephone').fill(number)
  await dialog.getByRole('button', { name: 'New contact' }).click()
  const card = page.getByRole('region', { name: 'Person' })
  await expect(card.getByRole('heading', { level: 2 })).toContainText(anna.name)

  // The same number again: the one who has it is offered.
  await page.getByRole('button', { name: 'New contact' }).click()
  await dialog.getByLabel('Name').fill('Somebody else')
  await dialog.getByLabel('Telephone').fill(number)
  await dialog.getByRole('button', { name: 'New contact' }).click()
  await expect(dialog.getByRole('link', { name: 'Open the card' })).toBeVisible()
  await page.keyboard.press('Escape')

  await card.getByText('Looks like').locator('..').getByRole('button', { name: 'Merge' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Merge', exact: true }).click()
  await expect(card.getByRole('region', { name: 'Addresses' }).getByRole('listitem')).toHaveCount(2)
  await card.getByRole('region', { name: 'Merged' }).getByRole('button', { name: 'Undo' }).click()
  await expect(card.getByRole('region', { name: 'Addresses' }).getByRole('listitem')).toHaveCount(1)
})
