import { defineConfig } from '@playwright/test'
import { results, state } from './e2e/world'

export default defineConfig({
  testDir: 'e2e',
  outputDir: results,
  fullyParallel: false,
  workers: 1, // one hub, one story
  timeout: 180_000, // axe on a busy machine takes its time
  expect: { timeout: 10_000 },
  forbidOnly: !!process.env.CI,
  reporter: [['list']],
  use: {
    baseURL: process.env.PARLEY_E2E_URL,
    locale: 'en-GB',
    timezoneId: 'UTC',
    viewport: { width: 1440, height: 900 },
    // A press on what never comes fails soon, and not with the whole test.
    actionTimeout: 20_000,
    trace: 'retain-on-failure',
    launchOptions: {
      // The machine's own browser: nothing is downloaded.
      executablePath: process.env.PARLEY_E2E_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    // Makes the account (or signs in) and keeps the session for all others.
    { name: 'auth', testMatch: 'auth.spec.ts' },
    {
      name: 'app',
      testIgnore: 'auth.spec.ts',
      dependencies: ['auth'],
      use: { storageState: state },
    },
  ],
})
