import {
  expect,
  type APIRequestContext,
  type Browser,
  type BrowserContext,
  type Page,
} from '@playwright/test'
import { world } from './world'

/** A bot of these tests alone: another test may connect and disconnect the first one meanwhile. */
const token = '7000000077:AAInboxTestsHaveABotOfTheirOwn00000000'

/** What the bot sent to a customer, as the fake tells it. */
export interface Sent {
  id: number
  text: string
  kind: string
  edited: boolean
  deleted: boolean
}

type Body = Record<string, unknown>

async function control<T>(method: string, path: string, body?: Body | Body[]): Promise<T> {
  const answer = await fetch(`${world.telegramUrl}/control${path}`, {
    method,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} /control${path}: ${answer.status} ${text}`)
  return (text ? JSON.parse(text) : undefined) as T
}

/** Somebody who writes to the bot. */
export class Customer {
  private constructor(
    readonly name: string,
    readonly id: number,
  ) {}

  static async meet(name: string, more: Body = {}): Promise<Customer> {
    // Tests of one run and of the next meet different people.
    const own = `${name} ${Math.random().toString(36).slice(2, 7)}`
    const { id } = await control<{ id: number }>('POST', '/users', {
      name: own,
      token,
      ...more,
    })
    return new Customer(own, id)
  }

  async does(action: string, body: Body = {}): Promise<number> {
    const { id } = await control<{ id: number }>('POST', `/users/${this.id}/${action}`, body)
    return id
  }

  async says(text: string): Promise<number> {
    return this.does('send', { text })
  }

  async got(): Promise<Sent[]> {
    return control<Sent[]>('GET', `/users/${this.id}/sent`)
  }

  /** Waits until the bot has said this to the customer, once. */
  async hears(text: string): Promise<Sent> {
    await expect
      .poll(async () => (await this.got()).filter((m) => m.text === text).length, { timeout: 20_000 })
      .toBe(1)
    return (await this.got()).find((m) => m.text === text)!
  }
}

/** The next call of a method goes wrong in this way. */
export const fault = (kind: string, more: Body = {}) =>
  control('POST', '/faults', { method: 'sendMessage', kind, ...more })
export const noFaults = () => control('DELETE', '/faults')

async function post<T>(api: APIRequestContext, path: string, data: Body): Promise<T> {
  const answer = await api.post(path, {
    data,
    headers: { 'Idempotency-Key': crypto.randomUUID(), Origin: new URL(world.url).origin },
  })
  expect(answer.ok(), `POST ${path}: ${answer.status()} ${await answer.text()}`).toBe(true)
  return (await answer.json()) as T
}

/** The channel through which all customers of the tests write. */
export async function connect(api: APIRequestContext): Promise<void> {
  const bots = await control<{ token: string }[]>('GET', '/bots')
  if (!bots.some((bot) => bot.token === token))
    await control('POST', '/bots', { token, username: 'parley_desk_bot' })
  const answer = await api.get('/api/channels')
  expect(answer.ok(), `GET /api/channels: ${answer.status()}`).toBe(true)
  const { items } = (await answer.json()) as { items: { settings: Body; name: string }[] }
  if (items.some((channel) => channel.settings.api_url === world.telegramUrl && channel.name === 'Desk'))
    return
  await post(api, '/api/channels', {
    kind: 'telegram',
    name: 'Desk',
    settings: { token, mode: 'poll', api_url: world.telegramUrl },
  })
}

/** The name by which colleagues see the administrator. */
export async function rename(api: APIRequestContext, name: string): Promise<void> {
  const headers = { Origin: new URL(world.url).origin }
  expect((await api.patch('/api/me', { data: { name }, headers })).ok()).toBe(true)
}

/** A colleague in a browser of his own. */
export async function colleague(
  browser: Browser,
  admin: APIRequestContext,
  name: string,
): Promise<BrowserContext> {
  const email = `${crypto.randomUUID()}@hub.test`
  const { link } = await post<{ link: string }>(admin, '/api/invitations', {
    email,
    name,
    role: 'agent',
    scope: 'all',
    team_ids: [],
  })
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } })
  await post(context.request, '/api/invitations/accept', {
    token: new URL(link, world.url).searchParams.get('token') ?? link.split('/').pop()!,
    name,
    password: world.password,
    locale: 'en',
  })
  return context
}

export const row = (page: Page, name: string) => page.locator('[data-row]').filter({ hasText: name })
export const messages = (page: Page) => page.getByRole('log').getByRole('article')
export const answerBox = (page: Page) => page.getByRole('textbox', { name: 'Answer' })

/** Opens a customer's conversation from the list of all. */
export async function openThread(page: Page, name: string, view = 'all'): Promise<void> {
  if (!page.url().includes(`/inbox/${view}`)) await page.goto(`/inbox/${view}`)
  await row(page, name).getByRole('link').click()
  await expect(
    page.getByRole('region', { name: 'Conversation', exact: true }).getByRole('heading').first(),
  ).toHaveText(name)
  await expect(messages(page).first()).toBeVisible()
}

export async function answer(page: Page, text: string): Promise<void> {
  await answerBox(page).click()
  await page.keyboard.type(text)
  await page.keyboard.press('Control+Enter')
}

/** A picture, without a file in the repository. */
export async function picture(page: Page, label: string): Promise<string> {
  return page.evaluate((words) => {
    const canvas = document.createElement('canvas')
    canvas.width = 640
    canvas.height = 480
    const brush = canvas.getContext('2d')!
    brush.fillStyle = '#0b6b63'
    brush.fillRect(0, 0, 640, 480)
    brush.fillStyle = '#ffffff'
    brush.font = '48px sans-serif'
    brush.fillText(words, 40, 80)
    return canvas.toDataURL('image/jpeg', 0.8).split(',')[1]!
  }, label)
}
