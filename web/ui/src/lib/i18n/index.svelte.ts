/**
 * Words, numbers and times in the reader's language. One language is loaded at a time, as its own chunk.
 * t() reads a rune, so that a template which calls it is drawn again when the language changes.
 */
import i18next, { type i18n as Instance } from 'i18next'
import type { Locale } from '../api/types'
import { areas, type Key } from './catalogue'

export type { Key } from './catalogue'
export const locales = ['en', 'ru', 'am'] as const satisfies readonly Locale[]
export const localeNames: Record<Locale, string> = { en: 'English', ru: 'Русский', am: 'አማርኛ' }

type Bundle = Record<string, object>
const bundles: Record<Locale, () => Promise<{ default: Bundle }>> = {
  en: () => import('./en/index'),
  ru: () => import('./ru/index'),
  am: () => import('./am/index'),
}
const stored = 'parley.locale'

class I18n {
  locale = $state<Locale>('en')
  #generation = $state(0)
  readonly #engine: Instance = i18next.createInstance()

  /** Before the first screen: what was chosen here, else what the browser asks for. */
  async start(wanted: Locale = preferred()): Promise<void> {
    await this.#engine.init({
      lng: wanted,
      ns: [...areas],
      defaultNS: 'common',
      nsSeparator: '.',
      keySeparator: '.',
      fallbackLng: false,
      interpolation: { escapeValue: false }, // Svelte escapes
      returnNull: false,
      showSupportNotice: false,
    } as Parameters<Instance['init']>[0])
    await this.use(wanted)
  }

  async use(locale: Locale): Promise<void> {
    if (!this.#engine.hasResourceBundle(locale, 'common')) {
      const { default: bundle } = await bundles[locale]()
      for (const [area, words] of Object.entries(bundle)) this.#engine.addResourceBundle(locale, area, words)
    }
    await this.#engine.changeLanguage(locale)
    this.locale = locale
    this.#generation++
    document.documentElement.lang = locale
    try {
      localStorage.setItem(stored, locale)
    } catch {
      // Private windows may have no storage: the choice lives until the tab closes.
    }
  }

  t(key: Key, values?: Record<string, unknown>): string {
    void this.#generation
    // "inbox.list.empty" is namespace inbox, key list.empty.
    const dot = key.indexOf('.')
    return this.#engine.t(key.slice(dot + 1), {
      ns: key.slice(0, dot),
      nsSeparator: false,
      ...values,
    }) as string
  }

  has(key: string): key is Key {
    void this.#generation
    const dot = key.indexOf('.')
    return this.#engine.exists(key.slice(dot + 1), { ns: key.slice(0, dot), nsSeparator: false } as never)
  }
}

function preferred(): Locale {
  try {
    const s = localStorage.getItem(stored)
    if (isLocale(s)) return s
  } catch {
    // as above
  }
  for (const tag of navigator.languages ?? []) {
    const base = tag.split('-')[0]
    if (isLocale(base)) return base
  }
  return 'en'
}

export function isLocale(s: unknown): s is Locale {
  return (locales as readonly unknown[]).includes(s)
}

export const i18n = new I18n()

/** The word for a key. Plurals: {count}; further values by name. */
export function t(key: Key, values?: Record<string, unknown>): string {
  return i18n.t(key, values)
}

/** For keys that are made of data ("settings.audit.kind." + kind): the fallback when no word is known. */
export function tOr(key: string, fallback: string, values?: Record<string, unknown>): string {
  return i18n.has(key) ? i18n.t(key, values) : fallback
}
