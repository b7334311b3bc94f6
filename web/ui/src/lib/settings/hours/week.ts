import type { Hours, HoursSpan } from '$lib/api/types'

/** Whether the hours are open at a moment, by their own time zone; null when the zone is not known here. */
export function openAt(h: Pick<Hours, 'timezone' | 'week' | 'holidays'>, at: Date): boolean | null {
  const local = localTime(h.timezone, at)
  if (!local) return null
  if (h.week.length === 0) return !h.holidays.includes(local.date)
  const before = localTime(h.timezone, new Date(at.getTime() - 86_400_000))
  return h.week.some((s) => {
    const from = minutes(s.from)
    const to = minutes(s.to)
    // A span that ends at or before its start goes over midnight and belongs to the day on which it starts.
    const over = to <= from
    if (s.day === local.day && !h.holidays.includes(local.date))
      if (local.minutes >= from && (over || local.minutes < to)) return true
    return (
      over &&
      before !== null &&
      s.day === before.day &&
      !h.holidays.includes(before.date) &&
      local.minutes < to
    )
  })
}

interface Local {
  day: number
  date: string
  minutes: number
}

function localTime(timezone: string, at: Date): Local | null {
  let f: Intl.DateTimeFormat
  try {
    f = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      weekday: 'short',
      hourCycle: 'h23',
    })
  } catch {
    return null
  }
  const p = Object.fromEntries(f.formatToParts(at).map((x) => [x.type, x.value]))
  const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
  return {
    day: days.indexOf(p.weekday!) + 1,
    date: `${p.year}-${p.month}-${p.day}`,
    minutes: Number(p.hour) * 60 + Number(p.minute),
  }
}

export function minutes(hhmm: string): number {
  const [h, m] = hhmm.split(':').map(Number)
  return h! * 60 + m!
}

/** "Mon to Fri 08:30-12:30, 13:30-17:30; Sat 09:00-13:00": days with the same times in a row are one group. */
export function summary(week: HoursSpan[]): { from: number; to: number; spans: string }[] {
  const byDay = new Map<number, string>()
  for (let day = 1; day <= 7; day++) {
    const spans = week
      .filter((s) => s.day === day)
      .toSorted((a, b) => minutes(a.from) - minutes(b.from))
      .map((s) => `${s.from}–${s.to}`)
      .join(', ')
    if (spans) byDay.set(day, spans)
  }
  const groups: { from: number; to: number; spans: string }[] = []
  for (const [day, spans] of byDay) {
    const last = groups.at(-1)
    if (last && last.to === day - 1 && last.spans === spans) last.to = day
    else groups.push({ from: day, to: day, spans })
  }
  return groups
}

export function timezones(): string[] {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  const known = Intl.supportedValuesOf('timeZone')
  return [...new Set([own, ...known, 'UTC'])]
}
