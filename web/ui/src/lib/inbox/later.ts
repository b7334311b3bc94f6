/** The moments that people mean by "later", in the agent's own zone. */
export interface Later {
  key: 'in_hour' | 'in_three_hours' | 'this_evening' | 'tomorrow' | 'monday' | 'next_week'
  at: Date
}

export function laterTimes(now: Date, kind: 'snooze' | 'send'): Later[] {
  const at = (days: number, hour: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour, 0, 0, 0)
  const out: Later[] = []
  if (kind === 'send') out.push({ key: 'in_hour', at: new Date(now.getTime() + 3_600_000) })
  else out.push({ key: 'in_three_hours', at: new Date(now.getTime() + 3 * 3_600_000) })
  if (now.getHours() < 16) out.push({ key: 'this_evening', at: at(0, 18) })
  out.push({ key: 'tomorrow', at: at(1, 9) })
  const toMonday = (8 - now.getDay()) % 7 || 7
  if (toMonday > 1) out.push({ key: 'monday', at: at(toMonday, 9) })
  if (toMonday !== 7) out.push({ key: 'next_week', at: at(7, 9) })
  return out
}

/** For <input type=datetime-local>, which speaks local time without a zone. */
export function toLocalInput(at: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`
}
