import type { Theme } from './api/types'

const stored = 'parley.theme'

/** Light or dark, by choice or by the system; public/theme.js does the same before the first paint. */
class ThemeState {
  choice = $state<Theme>('system')
  #system = $state(false)

  get dark(): boolean {
    return this.choice === 'dark' || (this.choice === 'system' && this.#system)
  }

  start(): () => void {
    const media = matchMedia('(prefers-color-scheme: dark)')
    this.#system = media.matches
    try {
      const s = localStorage.getItem(stored)
      if (s === 'light' || s === 'dark') this.choice = s
    } catch {
      // No storage: the system decides.
    }
    this.#apply()
    const on = () => {
      this.#system = media.matches
      this.#apply()
    }
    media.addEventListener('change', on)
    return () => media.removeEventListener('change', on)
  }

  choose(choice: Theme): void {
    this.choice = choice
    try {
      localStorage.setItem(stored, choice)
    } catch {
      // as above
    }
    this.#apply()
  }

  #apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light'
  }
}

export const theme = new ThemeState()
