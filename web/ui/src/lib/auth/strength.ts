/**
 * A rough word about a password, 0 to 4, while it is typed. It guides; the server decides. Length counts most, for
 * that is what makes guessing dear; few different signs, runs and repeats take it back.
 */
export function strength(password: string, least = 12): 0 | 1 | 2 | 3 | 4 {
  const signs = [...password]
  if (signs.length < least) return 0
  const different = new Set(signs).size
  if (different <= 4 || /^(.{1,4})\1+$/u.test(password)) return 1
  let worth = signs.length
  for (let i = 2; i < signs.length; i++) {
    const [a, b, c] = [code(signs[i - 2]!), code(signs[i - 1]!), code(signs[i]!)]
    if (a === b && b === c) worth -= 1
    else if (b - a === c - b && Math.abs(c - b) === 1) worth -= 1
  }
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Lo}/u, /\d/, /[^\p{L}\d]/u].filter((k) => k.test(password)).length
  const score = worth + (kinds - 1) * 2 + Math.min(4, different - 8)
  if (score < 13) return 1
  if (score < 17) return 2
  if (score < 23) return 3
  return 4
}

function code(sign: string): number {
  return sign.codePointAt(0)!
}
