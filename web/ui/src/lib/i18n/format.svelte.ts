/** The functions of format.ts, bound to the reader's language and to a clock that ticks for the whole application. */
import * as f from './format'
import { i18n } from './index.svelte'

class Clock {
  /** The present, to some seconds: reading it in a template redraws that template as time passes. */
  now = $state.raw(new Date())
  #timer: ReturnType<typeof setInterval> | undefined

  start(everyMs = 10_000): () => void {
    this.#timer = setInterval(() => (this.now = new Date()), everyMs)
    const onShow = () => {
      if (!document.hidden) this.now = new Date()
    }
    document.addEventListener('visibilitychange', onShow)
    return () => {
      clearInterval(this.#timer)
      document.removeEventListener('visibilitychange', onShow)
    }
  }
}

export const clock = new Clock()

type When = string | Date
const when = (at: When) => (typeof at === 'string' ? new Date(at) : at)

export const fmt = {
  number: (n: number, o?: Intl.NumberFormatOptions) => f.number(i18n.locale, n, o),
  clock: (at: When) => f.clock(i18n.locale, when(at)),
  exact: (at: When) => f.exact(i18n.locale, when(at)),
  date: (at: When) => f.date(i18n.locale, when(at), clock.now),
  dateTime: (at: When) => f.dateTime(i18n.locale, when(at), clock.now),
  ago: (at: When, style?: 'long' | 'short') => f.ago(i18n.locale, when(at), clock.now, style),
  brief: (at: When) => f.brief(i18n.locale, when(at), clock.now),
  /** How long ago, one unit. */
  since: (at: When) => f.duration(i18n.locale, clock.now.getTime() - when(at).getTime()),
  duration: (ms: number) => f.duration(i18n.locale, ms),
  length: (ms: number) => f.length(ms),
  bytes: (n: number) => f.bytes(i18n.locale, n),
  list: (words: string[]) => f.list(i18n.locale, words),
  weekday: (isoDay: number, style?: 'long' | 'short') => f.weekday(i18n.locale, isoDay, style),
  dayFormat: (o: Intl.DateTimeFormatOptions) => f.dateFormat(i18n.locale, o),
}
