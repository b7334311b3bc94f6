import type { Channel, MailServers } from '$lib/api/types'

/** What the form of a mailbox holds. An empty secret leaves the stored one as it is. */
export interface EmailValues {
  address: string
  name: string
  auth: string
  folders: string
  signature: string
  import_days: number | string
  authserv_id: string
  plus_addressing: boolean
  imap: Account
  smtp: Account
  oauth: { client_id: string; client_secret: string; token_url: string; refresh_token: string }
}
interface Account {
  host: string
  port: number | string
  tls: string
  username: string
  password: string
}

type Plain = Record<string, unknown>

export function emailValues(channel?: Pick<Channel, 'settings'>): EmailValues {
  const s = channel?.settings ?? {}
  const part = (name: string) => (s[name] ?? {}) as Plain
  const text = (of: Plain, name: string) => String(of[name] ?? '')
  const account = (of: Plain, port: number): Account => ({
    host: text(of, 'host'),
    port: Number(of.port ?? port),
    tls: text(of, 'tls') || 'tls',
    username: text(of, 'username'),
    password: '',
  })
  const folders = part('imap').folders
  return {
    address: text(s, 'address'),
    name: text(s, 'name'),
    auth: text(s, 'auth') || 'password',
    folders: Array.isArray(folders) ? folders.join('\n') : 'INBOX',
    signature: text(s, 'signature'),
    import_days: Number(s.import_days ?? 30),
    authserv_id: text(s, 'authserv_id'),
    plus_addressing: s.plus_addressing === true,
    imap: account(part('imap'), 993),
    smtp: account(part('smtp'), 465),
    oauth: {
      client_id: text(part('oauth'), 'client_id'),
      client_secret: '',
      token_url: text(part('oauth'), 'token_url'),
      refresh_token: '',
    },
  }
}

/** What is sent. What the form does not know (an extra of the API) stays as it is. */
export function emailSettings(v: EmailValues, channel?: Pick<Channel, 'settings'>): Plain {
  const before = channel?.settings ?? {}
  const kept = (name: string) => (before[name] ?? {}) as Plain
  const secret = (name: string, value: string) => (value === '' ? {} : { [name]: value })
  // One account has one password, typed once. Without a user name mail is handed over without signing in.
  const user = v.imap.username.trim() || v.address.trim()
  const same = v.smtp.username.trim() !== '' && v.smtp.username.trim() === user
  const password = { imap: v.imap.password, smtp: v.smtp.password || (same ? v.imap.password : '') }
  const account = (name: 'imap' | 'smtp') => ({
    ...kept(name),
    host: v[name].host.trim(),
    port: Number(v[name].port),
    tls: v[name].tls,
    username: v[name].username.trim(),
    password: undefined,
    ...secret('password', password[name]),
  })
  const settings: Plain = {
    ...before,
    address: v.address.trim(),
    name: v.name.trim(),
    auth: v.auth,
    imap: { ...account('imap'), folders: lines(v.folders) },
    smtp: account('smtp'),
    signature: v.signature.trim(),
    import_days: Number(v.import_days),
    authserv_id: v.authserv_id.trim(),
    plus_addressing: v.plus_addressing,
  }
  if (v.auth === 'password') delete settings.oauth
  else
    settings.oauth = {
      ...kept('oauth'),
      client_id: v.oauth.client_id.trim(),
      token_url: v.oauth.token_url.trim(),
      client_secret: undefined,
      refresh_token: undefined,
      ...secret('client_secret', v.oauth.client_secret.trim()),
      ...secret('refresh_token', v.oauth.refresh_token.trim()),
    }
  return JSON.parse(JSON.stringify(settings)) as Plain
}

function lines(text: string): string[] {
  const all = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return all.length > 0 ? [...new Set(all)] : ['INBOX']
}

/** Puts found servers into the form; passwords and what is no server stay. */
export function withServers(v: EmailValues, found: MailServers): EmailValues {
  return { ...v, imap: { ...v.imap, ...found.imap }, smtp: { ...v.smtp, ...found.smtp } }
}

export const steps = [
  'imap_connect',
  'imap_tls',
  'imap_login',
  'imap_folder',
  'smtp_connect',
  'smtp_tls',
  'smtp_login',
] as const
export type StepState = 'ok' | 'failed' | 'skipped' | 'running'

/** How far a test came. The server goes through the steps in this order and stops at the first that fails. */
export function stepStates(result: { ok: boolean; step: string } | null): StepState[] {
  if (!result) return steps.map(() => 'running')
  const at = result.ok ? steps.length : steps.indexOf(result.step as (typeof steps)[number])
  return steps.map((_, i) => (i < at ? 'ok' : i === at ? 'failed' : 'skipped'))
}
