import AxeBuilder from '@axe-core/playwright'
import { expect, type Page } from '@playwright/test'

/** WCAG 2.2 AA and the rules of good practice: nothing may be found. */
export async function expectAccessible(page: Page, what: string, without: string[] = []): Promise<void> {
  // What fades in is judged when it stands. What turns for ever, or lies folded away, is not waited for.
  await page.evaluate(() =>
    Promise.race([
      Promise.all(document.getAnimations().map((a) => a.finished.catch(() => {}))),
      new Promise((enough) => setTimeout(enough, 500)),
    ]),
  )
  const { violations } = await new AxeBuilder({ page })
    // A letter in its frame is its sender's; and where no script runs, axe waits for an answer half a minute.
    .exclude('iframe[sandbox]')
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .disableRules(without)
    .analyze()
  const found = violations.map(
    (v) =>
      `${v.id}: ${v.help}\n    ${v.nodes.map((n) => `${n.target.join(' ')} ${n.failureSummary ?? ''}`).join('\n    ')}`,
  )
  expect(found, what).toEqual([])
}

/** Nothing may be cut off at the side of a narrow screen. */
export async function expectNoSideways(page: Page, what: string): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  expect(over, what).toBeLessThanOrEqual(0)
}

export async function setTheme(page: Page, theme: 'light' | 'dark'): Promise<void> {
  await page.evaluate((t) => {
    localStorage.setItem('parley.theme', t)
    document.documentElement.dataset.theme = t
  }, theme)
}
