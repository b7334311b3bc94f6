import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from '@playwright/test'
import { expectAccessible, expectNoSideways, setTheme } from './axe'
import { expect, test } from './console'
import { answerBox, messages, openThread, row } from './customers'
import { connectMail, deliver, mailbox, sent } from './mail'
import { world } from './world'

test.skip(!world.mailUrl, 'needs a mailbox (PARLEY_E2E_MAIL_URL)')
const run = Math.random().toString(36).slice(2, 7)
const dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

/** Every request of the page that does not go to the hub. */
function outside(page: Page): string[] {
  const found: string[] = []
  page.on('request', (request) => {
    const url = request.url()
    if (/^(https?|wss?|ftp):/.test(url) && new URL(url).host !== new URL(world.url).host) found.push(url)
  })
  return found
}

/** What the browser says of the tests' own scripts, which want into every frame. */
const walled = /Blocked script execution in 'about:srcdoc'/

test('a mailbox is added by address and password, and its test is shown step by step', async ({ page }) => {
  await page.goto('/settings/channels/new')
  await page.getByRole('link', { name: /^E-mail/ }).click()
  await page.getByLabel('E-mail address').fill(world.mailAddress)
  await page.getByLabel('Password', { exact: true }).fill('not this one')
  const details = page.getByText('Mail servers', { exact: true })
  if (!(await page.getByRole('group', { name: 'Incoming mail (IMAP)' }).isVisible())) await details.click()
  for (const [group, port] of [
    ['Incoming mail (IMAP)', world.imapPort],
    ['Outgoing mail (SMTP)', world.smtpPort],
  ] as const) {
    const side = page.getByRole('group', { name: group })
    await side.getByLabel('Server').fill('127.0.0.1')
    await side.getByLabel('Port').fill(String(port))
    await side.getByLabel('Encryption').selectOption('none')
    await side.getByLabel('User name').fill(world.mailAddress)
  }
  await page.getByRole('button', { name: 'Test the connection' }).click()
  const steps = page.getByRole('list', { name: 'The test, step by step' }).getByRole('listitem')
  await expect(steps.filter({ hasText: 'Signing in for reading' })).toContainText('does not work')
  await expect(steps.filter({ hasText: 'Reaching the IMAP server' })).toContainText('works')
  await expect(steps.filter({ hasText: 'Signing in for sending' })).toContainText('not tried')
  for (const theme of ['light', 'dark'] as const) {
    await setTheme(page, theme)
    await expectAccessible(page, `mailbox, ${theme}`)
  }

  await page.getByLabel('Password', { exact: true }).fill(world.mailPassword)
  await page.getByText('Name, signature, folders').click()
  await page.getByLabel('Signature').fill(mailbox().signature)
  await page.getByRole('button', { name: 'Add a channel' }).click()
  await expect(page.getByText(/is connected\.$/)).toBeVisible()
  await expect(page.getByText('Working').first()).toBeVisible({ timeout: 30_000 })
  // The stored password is never shown, and an unchanged form keeps it.
  await expect(page.getByLabel('Password', { exact: true })).toHaveValue('')
  await page.getByLabel('Name', { exact: true }).fill('Mail of the tests')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Mail of the tests is saved.')).toBeVisible()
  await page.getByRole('button', { name: 'Test the connection' }).click()
  await expect(page.getByText('The connection works.')).toBeVisible()
})

test.describe('with a mailbox', () => {
  test.beforeAll(async ({ browser }) => {
    const admin = await browser.newContext({ storageState: test.info().project.use.storageState })
    await connectMail(admin.request)
    await admin.close()
  })

  test('a letter is read, answered to all, and passed on', async ({ page }) => {
    const name = `Sara ${run}`
    await deliver({
      from: `${name} <sara.${run}@a.test>`,
      subject: `Offer ${run}`,
      headers: [`Cc: Boss <boss.${run}@a.test>`],
      text: `Could you send the price?\n\n-- \nSara\n\nOn Mon, 1 Jan 2029 at 10:00, Desk wrote:\n> What do you need?`,
    })
    await page.goto('/inbox/all')
    await expect(row(page, name)).toContainText(`Offer ${run}`, { timeout: 40_000 })
    await openThread(page, name)
    const letter = messages(page).first()
    await expect(letter.getByRole('heading', { name: `Offer ${run}` })).toBeVisible()
    await expect(letter).toContainText('Could you send the price?')
    await expect(letter.getByText('What do you need?')).toBeHidden()
    await letter.getByText('•••').last().click()
    await expect(letter.getByText('What do you need?')).toBeVisible()
    await letter.getByRole('button', { name: 'All addresses' }).click()
    await expect(letter).toContainText(`boss.${run}@a.test`)

    await letter.hover()
    await letter.getByRole('button', { name: 'Reply to all' }).click()
    await expect(page.getByRole('textbox', { name: 'Subject' })).toHaveValue(`Re: Offer ${run}`)
    await answerBox(page).click()
    await page.keyboard.type('Two prices:')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Bulleted list' }).click()
    await page.keyboard.type('small')
    await page.keyboard.press('Enter')
    await page.keyboard.type('large')
    // What was begun stays through a reload, the envelope too.
    await page.reload()
    await expect(page.getByRole('button', { name: `Remove Boss <boss.${run}@a.test>` })).toBeVisible()
    await answerBox(page).click()
    await page.keyboard.press('Control+Enter')
    const reply = await sent(`Re: Offer ${run}`)
    expect(reply.to.toSorted()).toEqual([`boss.${run}@a.test`, `sara.${run}@a.test`])
    expect(reply.data).toContain('<li>small</li>')
    expect(reply.data).toMatch(/In-Reply-To: <.*@e2e\.test>/)

    await letter.hover()
    await letter.getByRole('button', { name: 'Forward' }).click()
    await expect(page.getByRole('combobox', { name: 'To' })).toBeFocused()
    await page.keyboard.type(`not an address,`)
    await expect(page.getByText('is no e-mail address')).toBeVisible()
    await page.getByRole('combobox', { name: 'To' }).fill(`tom.${run}@b.test,`)
    await answerBox(page).click()
    await page.keyboard.type('For you')
    await page.keyboard.press('Control+Enter')
    const passed = await sent(`Fwd: Offer ${run}`)
    expect(passed.to).toEqual([`tom.${run}@b.test`])
  })

  test('a new message goes to somebody who never wrote', async ({ page }) => {
    await page.goto('/inbox/all')
    await expect(page.getByRole('button', { name: 'New message' })).toBeVisible()
    await page.keyboard.press('c')
    const dialog = page.getByRole('dialog', { name: 'New message' })
    await expect(dialog.getByRole('combobox', { name: 'To' })).toBeFocused()
    await page.keyboard.type(`sara.${run}`)
    await dialog.getByRole('option').first().click()
    await dialog.getByRole('combobox', { name: 'To' }).fill(`New One <new.${run}@c.test>`)
    await page.keyboard.press('Enter')
    await dialog.getByRole('button', { name: `Remove Sara ${run}` }).click()
    await dialog.getByRole('textbox', { name: 'Subject' }).fill(`Hello ${run}`)
    await dialog.getByRole('textbox', { name: 'Text' }).click()
    await page.keyboard.type('A word from us')
    for (const theme of ['light', 'dark'] as const) {
      await setTheme(page, theme)
      await expectAccessible(page, `new message, ${theme}`)
    }
    await dialog.getByRole('button', { name: 'Send' }).click()
    await expect(page).toHaveURL(/\/inbox\/mine\/\d+$/)
    await expect(messages(page).first()).toContainText('A word from us')
    const mail = await sent(`Hello ${run}`)
    expect(mail.to).toEqual([`new.${run}@c.test`])
    expect(mail.data).toContain('A word from us')
  })

  test('a letter in its frame loads nothing from elsewhere until it is asked to', async ({
    page,
    quiet,
  }, info) => {
    quiet.allow(walled)
    const name = `News ${run}`
    await deliver({
      from: `${name} <news.${run}@a.test>`,
      subject: `Spring ${run}`,
      html: `<table bgcolor="#ffeecc"><tr><td><h1>Spring</h1><img src="cid:logo" width="40" height="40" alt="Logo">
        <img src="https://pictures.test/spring.png" width="300" height="120" alt="A field">
        <p><a href="https://evil.test/x">https://bank.test</a></p></td></tr></table>`,
      files: [{ name: 'logo.png', type: 'image/png', data: dot, cid: 'logo' }],
    })
    const found = outside(page)
    await page.goto('/inbox/all')
    await expect(row(page, name)).toBeVisible({ timeout: 40_000 })
    await openThread(page, name)
    const frame = page.frameLocator('iframe[title^="E-mail: Spring"]')
    await expect(frame.getByRole('heading', { name: 'Spring' })).toBeVisible()
    await expect(frame.getByText('evil.test', { exact: true })).toBeVisible()
    await expect(frame.getByText('A field')).toBeVisible()
    await expect
      .poll(() =>
        frame.getByRole('img', { name: 'Logo' }).evaluate((img: HTMLImageElement) => img.naturalWidth),
      )
      .toBe(1)
    expect(found).toEqual([])
    const asked = page.waitForRequest(/images=1/)
    const picture = page.waitForRequest(/\/api\/images\?token=/)
    await page.getByRole('button', { name: 'Show images' }).click()
    await asked
    // The hub asks for it, the browser only asks the hub.
    await picture
    expect(found).toEqual([])
    for (const width of [360, 768, 1440]) {
      await page.setViewportSize({ width, height: 900 })
      for (const theme of ['light', 'dark'] as const) {
        await setTheme(page, theme)
        await expectNoSideways(page, `letter ${width}`)
        await expectAccessible(page, `letter, ${theme}, ${width}`)
        await info.attach(`letter-${width}-${theme}`, {
          body: await page.screenshot(),
          contentType: 'image/png',
        })
      }
    }
  })

  test('hostile letters run nothing and reach nobody', async ({ page, quiet }) => {
    test.slow()
    quiet.allow(walled)
    const attacks = readFileSync(
      fileURLToPath(new URL('../../../internal/htmlmail/testdata/xss.txt', import.meta.url)),
      'utf8',
    )
      .trimEnd()
      .split('\n')
      .map((line) => line.replaceAll('⏎', '\n').replaceAll('X', 'parent.hacked()'))
    expect(attacks.length).toBeGreaterThan(200)
    const name = `Mallory ${run}`
    let first = ''
    for (const [i, attack] of attacks.entries()) {
      const id = await deliver({
        from: `${name} <mallory.${run}@evil.test>`,
        subject: `Attack ${run}`,
        html: `<p>letter ${i}</p>${attack}`,
        headers: first ? [`References: ${first}`] : [],
      })
      first ||= id
    }
    const found = outside(page)
    await page.addInitScript(() => {
      const w = window as unknown as { hacks: number; hacked: () => void }
      w.hacks = 0
      w.hacked = () => w.hacks++
    })
    await page.goto('/inbox/all')
    await expect(row(page, name)).toBeVisible({ timeout: 40_000 })
    await openThread(page, name)
    const conversation = /\/(\d+)$/.exec(page.url())![1]!
    const letters = async () => {
      const ids: string[] = []
      let before = ''
      for (;;) {
        const answer = await page.request.get(
          `/api/conversations/${conversation}/timeline?limit=200${before && `&before=${encodeURIComponent(before)}`}`,
        )
        const body = (await answer.json()) as {
          items: { id: string; kind: string }[]
          prev_cursor: string | null
        }
        ids.push(...body.items.filter((i) => i.kind === 'message').map((i) => i.id))
        if (!body.prev_cursor) return ids
        before = body.prev_cursor
      }
    }
    await expect.poll(async () => (await letters()).length, { timeout: 120_000 }).toBe(attacks.length)
    // Those on the screen were opened by the application. Now all of them, in the same frames, and in frames whose walls
    // are down: the sanitiser and the policy have to be enough without the sandbox.
    const opened = await page.evaluate(
      async ({ conversation, ids }) => {
        let opened = 0
        for (const sandbox of [
          'allow-popups allow-popups-to-escape-sandbox',
          'allow-scripts allow-same-origin allow-popups',
        ]) {
          for (let i = 0; i < ids.length; i += 25) {
            await Promise.all(
              ids.slice(i, i + 25).map(async (id) => {
                const answer = await fetch(`/api/conversations/${conversation}/messages/${id}/body?images=0`)
                if (answer.status === 404) return // nothing of it was fit to be shown
                const frame = document.createElement('iframe')
                frame.setAttribute('sandbox', sandbox)
                frame.srcdoc = await answer.text()
                const loaded = new Promise((done) => (frame.onload = done))
                document.body.append(frame)
                await loaded
                await new Promise((done) => setTimeout(done, 50))
                frame.remove()
                opened++
              }),
            )
          }
        }
        return opened
      },
      { conversation, ids: await letters() },
    )
    expect(opened).toBeGreaterThan(attacks.length) // both kinds of frames, most letters
    expect(await page.evaluate(() => (window as unknown as { hacks: number }).hacks)).toBe(0)
    expect(found).toEqual([])
  })
})
