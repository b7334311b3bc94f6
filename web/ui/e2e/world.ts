import { fileURLToPath } from 'node:url'

/** What the tests are told about the hub that they meet; see README.md. */
export const world = {
  url: process.env.PARLEY_E2E_URL ?? '',
  /** The one-time link of a hub without an administrator; without it the account below must exist. */
  setupUrl: process.env.PARLEY_E2E_SETUP_URL ?? '',
  name: 'Nadia Kebede',
  email: process.env.PARLEY_E2E_EMAIL ?? 'nadia@hub.test',
  password: process.env.PARLEY_E2E_PASSWORD ?? 'correct horse battery staple',
  workspace: 'Habesha Fitness',
  /** The fake Bot API with its /control/, and a token that it knows. */
  telegramUrl: process.env.PARLEY_E2E_TELEGRAM_URL ?? '',
  telegramToken: process.env.PARLEY_E2E_TELEGRAM_TOKEN ?? '',
  /** A mailbox on IMAP and SMTP servers of this machine, and the door through which tests deliver and look. */
  mailUrl: process.env.PARLEY_E2E_MAIL_URL ?? '',
  mailAddress: process.env.PARLEY_E2E_MAIL_ADDRESS ?? '',
  mailPassword: process.env.PARLEY_E2E_MAIL_PASSWORD ?? '',
  imapPort: Number(process.env.PARLEY_E2E_MAIL_IMAP_PORT ?? 0),
  smtpPort: Number(process.env.PARLEY_E2E_MAIL_SMTP_PORT ?? 0),
}

/** Two runs at the same time meet two hubs: what they keep lies apart. */
const mine = world.url.replace(/\W+/g, '_') || 'none'

/** Where the signed-in session is kept between the projects. */
export const state = fileURLToPath(new URL(`./.state/${mine}.json`, import.meta.url))
export const results = fileURLToPath(new URL(`../test-results/${mine}`, import.meta.url))
