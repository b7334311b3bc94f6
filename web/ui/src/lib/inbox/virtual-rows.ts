/** Which rows of equal height are near the window of a scrolled list. */
export interface Span {
  from: number
  to: number
}

const OVERSCAN = 8

export function visibleSpan(count: number, row: number, top: number, height: number): Span {
  const from = Math.max(0, Math.floor(top / row) - OVERSCAN)
  const to = Math.min(count, Math.ceil((top + height) / row) + OVERSCAN)
  return { from: Math.min(from, to), to }
}
