/** What was typed to ask for suggestions: a sign at the beginning of a word, and what follows it so far. */
export interface Trigger {
  sign: '/' | '@'
  word: string
}

/** How long a word may be and still be a question; what is longer is just text. */
const LONGEST = 40

/** Finds the trigger at the end of what stands before the caret. A path or an address is none: a sign begins a word. */
export function triggerBefore(text: string): Trigger | null {
  const found = /(?:^|\s)([/@])([^\s/@]*)$/u.exec(text)
  if (!found || found[2]!.length > LONGEST) return null
  return { sign: found[1] as Trigger['sign'], word: found[2]! }
}

/** Whether something with these names is meant by a word: each name counts from the beginning of any of its words. */
export function meant(word: string, ...names: string[]): boolean {
  const wanted = fold(word)
  return names.some((name) => {
    const all = fold(name)
    return all.startsWith(wanted) || all.split(/[\s\-_]+/u).some((part) => part.startsWith(wanted))
  })
}

function fold(s: string): string {
  return s.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase()
}
