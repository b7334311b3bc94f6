import { world } from './world'
import { test as base, expect } from '@playwright/test'

/** Every test fails when the page throws, or when the console tells of an error that nobody expected (CSP too). */
export const test = base.extend<{ quiet: { allow: (text: RegExp) => void }; fresh: void }>({
  // A long run outlasts the ten minutes after which the password is asked for again.
  fresh: [
    async ({ page }, use) => {
      await page.request.post(`${world.url}/api/me/proof`, { data: { password: world.password } })
      await use()
    },
    { auto: true },
  ],
  quiet: [
    async ({ page }, use) => {
      const found: string[] = []
      // A refusal that a test provokes is told by the browser itself.
      const allowed: RegExp[] = [/the server responded with a status of 4\d\d/]
      page.on('pageerror', (err) => found.push(`thrown: ${err.message}`))
      page.on('console', (m) => {
        if (m.type() === 'error') found.push(m.text())
      })
      await use({ allow: (text) => allowed.push(text) })
      expect(found.filter((text) => !allowed.some((a) => a.test(text)))).toEqual([])
    },
    { auto: true },
  ],
})
export { expect }
