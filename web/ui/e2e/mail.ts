import { expect, type APIRequestContext } from '@playwright/test'
import { world } from './world'

export interface SentMail {
  from: string
  to: string[]
  data: string
}

/** A mail as it lies in a mailbox. */
export interface Mail {
  from: string
  subject: string
  text?: string
  html?: string
  headers?: string[]
  /** A file, or a picture that the HTML shows in place. */
  files?: { name: string; type: string; data: string; cid?: string }[]
}

let count = 0

/** Puts a mail into the mailbox of the tests; answers its Message-ID. */
export async function deliver(mail: Mail): Promise<string> {
  const id = `<${Date.now()}.${++count}@e2e.test>`
  const part = (type: string, body: string, more: string[] = []) =>
    [`Content-Type: ${type}`, 'Content-Transfer-Encoding: base64', ...more, '', base64(body), ''].join('\n')
  const alternatives = [
    ...(mail.text !== undefined ? [part('text/plain; charset=utf-8', mail.text)] : []),
    ...(mail.html !== undefined ? [part('text/html; charset=utf-8', mail.html)] : []),
  ]
  const files = (mail.files ?? []).map((file) =>
    [
      `Content-Type: ${file.type}; name="${file.name}"`,
      'Content-Transfer-Encoding: base64',
      file.cid ? `Content-ID: <${file.cid}>` : `Content-Disposition: attachment; filename="${file.name}"`,
      ...(file.cid ? [`Content-Disposition: inline; filename="${file.name}"`] : []),
      '',
      wrapped(file.data),
      '',
    ].join('\n'),
  )
  const raw = [
    `From: ${mail.from}`,
    `To: ${world.mailAddress}`,
    `Subject: =?utf-8?B?${Buffer.from(mail.subject).toString('base64')}?=`,
    `Message-ID: ${id}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    ...(mail.headers ?? []),
    'MIME-Version: 1.0',
    'Content-Type: multipart/related; boundary=outer',
    '',
    '--outer',
    'Content-Type: multipart/alternative; boundary=inner',
    '',
    ...alternatives.flatMap((body) => ['--inner', body]),
    '--inner--',
    ...files.flatMap((body) => ['--outer', body]),
    '--outer--',
    '',
  ].join('\r\n')
  const answer = await fetch(`${world.mailUrl}/deliver?to=${encodeURIComponent(world.mailAddress)}`, {
    method: 'POST',
    body: raw.replace(/\r?\n/g, '\r\n'),
  })
  expect(answer.ok, `deliver: ${answer.status}`).toBe(true)
  return id
}

const base64 = (text: string) => wrapped(Buffer.from(text).toString('base64'))
const wrapped = (data: string) => data.replace(/(.{76})/g, '$1\n')

/** Waits for a mail that the hub has sent, and gives its bytes, decoded as far as a test looks at them. */
export async function sent(subject: string): Promise<SentMail> {
  const all = async () => (await (await fetch(`${world.mailUrl}/sent`)).json()) as SentMail[]
  const match = (m: SentMail) => m.data.includes(`Subject: ${subject}`)
  await expect.poll(async () => (await all()).filter(match).length, { timeout: 30_000 }).toBe(1)
  return (await all()).find(match)!
}

/** The settings of the tests' mailbox. */
export const mailbox = () => ({
  address: world.mailAddress,
  name: 'Desk',
  signature: 'Desk of the tests',
  imap: server(world.imapPort),
  smtp: server(world.smtpPort),
})
const server = (port: number) => ({
  host: '127.0.0.1',
  port,
  tls: 'none',
  username: world.mailAddress,
  password: world.mailPassword,
})

/** Connects the mailbox once. */
export async function connectMail(api: APIRequestContext): Promise<void> {
  const { items } = (await (await api.get('/api/channels')).json()) as { items: { kind: string }[] }
  if (items.some((channel) => channel.kind === 'email')) return
  const answer = await api.post('/api/channels', {
    data: { kind: 'email', name: 'Mail', settings: mailbox() },
    headers: { 'Idempotency-Key': crypto.randomUUID(), Origin: new URL(world.url).origin },
  })
  expect(answer.ok(), `POST /api/channels: ${answer.status()} ${await answer.text()}`).toBe(true)
}
