/** Numbers, sizes and times by locale. Pure: the locale and the present are handed in; format.svelte.ts binds them. */
import type { Locale } from '../api/types'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Addis Ababa writes 24-hour times in digital life and Gregorian dates in business: so do we. */
const tags: Record<Locale, string> = { en: 'en-GB', ru: 'ru-RU', am: 'am-ET-u-ca-gregory-nu-latn' }

const cache = new Map<string, unknown>()
function cached<T>(key: string, make: () => T): T {
  let v = cache.get(key) as T | undefined
  if (v === undefined) {
    v = make()
    cache.set(key, v)
  }
  return v
}

export function dateFormat(locale: Locale, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return cached(`d${locale}${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(tags[locale], options))
}

export function number(locale: Locale, n: number, options: Intl.NumberFormatOptions = {}): string {
  return cached(
    `n${locale}${JSON.stringify(options)}`,
    () => new Intl.NumberFormat(tags[locale], options),
  ).format(n)
}

/** 14:05 */
export function clock(locale: Locale, at: Date): string {
  return dateFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at)
}

/** The exact moment, for a title: 3 May 2026, 14:05:09 */
export function exact(locale: Locale, at: Date): string {
  return dateFormat(locale, {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(at)
}

/** 3 May, with the year when it is another one. */
export function date(locale: Locale, at: Date, now: Date): string {
  return at.getFullYear() === now.getFullYear()
    ? dateFormat(locale, { day: 'numeric', month: 'short' }).format(at)
    : dateFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' }).format(at)
}

export function dateTime(locale: Locale, at: Date, now: Date): string {
  return `${date(locale, at, now)}, ${clock(locale, at)}`
}

function relative(
  locale: Locale,
  value: number,
  unit: Intl.RelativeTimeFormatUnit,
  style: 'long' | 'short',
): string {
  const f = cached(
    `r${locale}${style}`,
    () => new Intl.RelativeTimeFormat(tags[locale], { numeric: 'auto', style }),
  )
  return f.format(value, unit)
}

/** "5 minutes ago", "yesterday", then a date: relative up to a day, as people speak. */
export function ago(locale: Locale, at: Date, now: Date, style: 'long' | 'short' = 'long'): string {
  const d = at.getTime() - now.getTime()
  const a = Math.abs(d)
  if (a < 45_000) return relative(locale, 0, 'second', style)
  if (a < hour) return relative(locale, Math.round(d / minute) || Math.sign(d), 'minute', style)
  const days = calendarDays(at, now)
  if (a < day && (days === 0 || a < 12 * hour)) return relative(locale, Math.round(d / hour), 'hour', style)
  if (Math.abs(days) <= 1) return relative(locale, days, 'day', style)
  return date(locale, at, now)
}

/** For the edge of a list row: "now", "12 min", "3 h", "yesterday", "3 May". */
export function brief(locale: Locale, at: Date, now: Date): string {
  const d = Math.abs(now.getTime() - at.getTime())
  if (d < 45_000) return relative(locale, 0, 'second', 'long')
  if (d < hour) return duration(locale, d)
  const days = calendarDays(at, now)
  if (days === 0 || d < 6 * hour) return duration(locale, d)
  if (days === -1) return relative(locale, -1, 'day', 'long')
  return date(locale, at, now)
}

/** One unit, rounded down: "12 s", "18 min", "3 h", "2 days". */
export function duration(locale: Locale, ms: number): string {
  const [value, unit] =
    ms < minute
      ? [ms / 1000, 'second']
      : ms < hour
        ? [ms / minute, 'minute']
        : ms < 2 * day
          ? [ms / hour, 'hour']
          : [ms / day, 'day']
  // British English says "18 mins", which is no shorter than it need be.
  return cachedUnit(locale, unit as string).format(Math.max(0, Math.floor(value as number)))
}

function cachedUnit(locale: Locale, unit: string): Intl.NumberFormat {
  const tag = locale === 'en' ? 'en-US' : tags[locale]
  return cached(
    `u${tag}${unit}`,
    () => new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'short' }),
  )
}

/** 1:26 of a recording. */
export function length(ms: number): string {
  const s = Math.round(ms / 1000)
  const mm = Math.floor(s / 60) % 60
  const hh = Math.floor(s / 3600)
  const ss = String(s % 60).padStart(2, '0')
  return hh > 0 ? `${hh}:${String(mm).padStart(2, '0')}:${ss}` : `${mm}:${ss}`
}

export function bytes(locale: Locale, n: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return number(locale, n, {
    style: 'unit',
    unit: units[i]!,
    unitDisplay: 'short',
    maximumFractionDigits: n < 10 && i > 0 ? 1 : 0,
  })
}

export function list(locale: Locale, words: string[]): string {
  return cached(`l${locale}`, () => new Intl.ListFormat(tags[locale], { type: 'conjunction' })).format(words)
}

/** Monday first, 1 to 7, in words. */
export function weekday(locale: Locale, isoDay: number, style: 'long' | 'short' = 'long'): string {
  // 1 January 2024 was a Monday.
  return dateFormat(locale, { weekday: style, timeZone: 'UTC' }).format(new Date(Date.UTC(2024, 0, isoDay)))
}

/** Whole days between the local calendar days of two moments. */
export function calendarDays(at: Date, now: Date): number {
  const a = Date.UTC(at.getFullYear(), at.getMonth(), at.getDate())
  const b = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate())
  return Math.round((a - b) / day)
}
