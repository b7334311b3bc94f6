/** Where value belongs in a sorted array (before equal ones). */
export function lowerBound<T>(sorted: readonly T[], value: T, compare: (a: T, b: T) => number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (compare(sorted[mid]!, value) < 0) low = mid + 1
    else high = mid
  }
  return low
}

/** Compares decimal strings of bigints without losing digits. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}

/** Compares RFC 3339 UTC times, whose fractions may have different lengths (or none). */
export function compareTimes(a: string, b: string): number {
  if (a === b) return 0
  const [x, y] = [Date.parse(a), Date.parse(b)]
  if (x !== y) return x - y
  // Date.parse knows milliseconds only; the database knows microseconds.
  return fraction(a) - fraction(b)
}

function fraction(time: string): number {
  const match = /\.(\d+)/.exec(time)
  return match ? Number(match[1]!.padEnd(9, '0').slice(0, 9)) : 0
}
