import { describe, expect, it } from 'vitest'
import { emailSettings, emailValues, stepStates, steps, withServers } from './email'

const stored = {
  settings: {
    address: 'sales@hub.et',
    imap: { host: 'imap.hub.et', port: 993, tls: 'tls', username: 'sales', folders: ['INBOX', 'Orders'] },
    smtp: { host: 'smtp.hub.et', port: 587, tls: 'starttls', username: '' },
    save_sent: false,
  },
}

describe('a mailbox in the form', () => {
  it('goes back as it came, without secrets and with what the form does not know', () => {
    expect(emailSettings(emailValues(stored), stored)).toEqual({
      ...stored.settings,
      name: '',
      auth: 'password',
      signature: '',
      import_days: 30,
      authserv_id: '',
      plus_addressing: false,
    })
  })
  it('sends a secret only when one was typed', () => {
    const values = emailValues(stored)
    values.imap.password = ' with a space '
    const sent = emailSettings(values, stored)
    expect(sent.imap).toMatchObject({ password: ' with a space ' })
    expect(sent.smtp).not.toHaveProperty('password')
  })
  it('needs the password of one account once', () => {
    const values = emailValues(stored)
    values.imap.password = 'one'
    values.smtp.username = 'sales'
    expect(emailSettings(values, stored).smtp).toMatchObject({ password: 'one' })
    values.smtp.username = 'relay'
    expect(emailSettings(values, stored).smtp).not.toHaveProperty('password')
    values.smtp.password = 'two'
    expect(emailSettings(values, stored).smtp).toMatchObject({ password: 'two' })
  })
  it('has no OAuth where a password is used', () => {
    const values = emailValues({
      settings: { ...stored.settings, auth: 'xoauth2', oauth: { client_id: 'x', token_url: 'https://a.et' } },
    })
    expect(emailSettings(values, stored).oauth).toEqual({ client_id: 'x', token_url: 'https://a.et' })
    values.auth = 'password'
    expect(emailSettings(values, stored)).not.toHaveProperty('oauth')
  })
  it('reads folders line by line, each once', () => {
    const values = { ...emailValues(), folders: ' INBOX \n\nOrders\nINBOX' }
    expect(emailSettings(values).imap).toMatchObject({ folders: ['INBOX', 'Orders'] })
    expect(emailSettings({ ...values, folders: '\n' }).imap).toMatchObject({ folders: ['INBOX'] })
  })
  it('takes found servers and keeps the password', () => {
    const values = emailValues()
    values.imap.password = 'secret'
    const server = { host: 'mail.hub.et', port: 143, tls: 'starttls', username: 'sales@hub.et' }
    const found = withServers(values, {
      imap: server,
      smtp: { ...server, port: 587 },
      source: 'srv',
      note: '',
    })
    expect(found.imap).toEqual({ ...server, password: 'secret' })
    expect(found.smtp.port).toBe(587)
  })
})

it.each([
  [null, steps.map(() => 'running')],
  [{ ok: true, step: 'done' }, steps.map(() => 'ok')],
  [{ ok: false, step: 'imap_login' }, ['ok', 'ok', 'failed', 'skipped', 'skipped', 'skipped', 'skipped']],
  [{ ok: false, step: 'connect' }, steps.map(() => 'skipped')],
])('%j is shown step by step', (result, states) => expect(stepStates(result)).toEqual(states))
