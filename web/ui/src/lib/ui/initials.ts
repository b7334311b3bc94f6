/** Two letters that stand for a name, in any script; for a telephone number its country code. */
export function initials(name: string): string {
  const clean = name.trim()
  if (clean === '') return '?'
  if (/^\+?[\d\s()-]{5,}$/.test(clean)) return clean.replace(/[^\d+]/g, '').slice(0, 2)
  const words = clean.split(/[\s._-]+/).filter((w) => /\p{L}|\p{N}/u.test(w))
  const letters = words.map((w) => firstGrapheme(w.replace(/^[^\p{L}\p{N}]+/u, '')))
  const two = letters.length > 1 ? letters[0]! + letters.at(-1)! : (letters[0] ?? firstGrapheme(clean))
  return two.toLocaleUpperCase()
}

function firstGrapheme(s: string): string {
  return [...s][0] ?? ''
}

/** Hues that stay apart from each other and from the accent; one person keeps one for ever. */
const hues = [6, 34, 62, 96, 140, 178, 207, 236, 265, 300, 332]

/** null: the neutral one. A name that is only a number gets no colour of its own. */
export function hue(seed: string): number | null {
  if (seed === '') return null
  let h = 2166136261
  for (const c of seed) {
    h ^= c.codePointAt(0)!
    h = Math.imul(h, 16777619)
  }
  return hues[(h >>> 0) % hues.length]!
}
