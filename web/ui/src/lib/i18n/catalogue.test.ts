import { describe, expect, it } from 'vitest'
import am from './am/index'
import { areas } from './catalogue'
import en from './en/index'
import { locales } from './index.svelte'
import ru from './ru/index'

type Tree = { [key: string]: string | Tree }
const bundles = { en, ru, am } as unknown as Record<(typeof locales)[number], Record<string, Tree>>
const plural = /_(zero|one|two|few|many|other)$/

function leaves(tree: Tree, prefix = ''): Map<string, string> {
  const out = new Map<string, string>()
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') out.set(prefix + key, value)
    else for (const [k, v] of leaves(value, `${prefix}${key}.`)) out.set(k, v)
  }
  return out
}

const placeholders = (text: string) => [...text.matchAll(/\{\{(\w+)/g)].map((m) => m[1]!).sort()

describe.each(areas)('area %s', (area) => {
  const base = leaves(bundles.en[area]!)
  const bare = new Set([...base.keys()].map((k) => k.replace(plural, '')))
  const plurals = new Set([...base.keys()].filter((k) => plural.test(k)).map((k) => k.replace(plural, '')))

  it.each(locales)('%s has every key, in all its plural forms, and none besides', (locale) => {
    const words = leaves(bundles[locale][area]!)
    const forms = new Intl.PluralRules(locale).resolvedOptions().pluralCategories
    const wanted = [...bare].flatMap((k) => (plurals.has(k) ? forms.map((f) => `${k}_${f}`) : [k])).sort()
    expect([...words.keys()].sort()).toEqual(wanted)
  })

  it.each(locales)('%s says something, with the same values', (locale) => {
    for (const [key, text] of leaves(bundles[locale][area]!)) {
      expect(text.trim(), key).not.toBe('')
      const model = base.get(key) ?? base.get(key.replace(plural, '_other'))!
      const of = (s: string) => new Set(placeholders(s).filter((p) => p !== 'count'))
      expect(of(text), key).toEqual(of(model))
    }
  })

  it.each(['ru', 'am'] as const)('%s is written in its own script', (locale) => {
    const script = locale === 'ru' ? /\p{Script=Cyrillic}/u : /\p{Script=Ethiopic}/u
    for (const [key, text] of leaves(bundles[locale][area]!)) {
      // Names, values and marks are the same everywhere.
      const own = text
        .replace(/\{\{[^}]*\}\}/g, '')
        .replace(/\b(Parley|E-mail|Telegram|WhatsApp|SIP|API|OK|ID|VIP|UTM)\b/g, '')
      if (/\p{L}{3,}/u.test(own)) expect(text, key).toMatch(script)
    }
  })
})
