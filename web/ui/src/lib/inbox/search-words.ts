/** The words of the search box, where a filter is a word with a colon in it. The server reads them; this only edits. */
export function hasWord(words: string, word: string): boolean {
  return split(words).includes(word)
}

/** Puts a filter in, in the place of another one for the same thing where there can be but one, or takes it out. */
export function toggleWord(words: string, word: string): string {
  const list = split(words)
  if (list.includes(word)) return join(list.filter((w) => w !== word))
  const key = word.slice(0, word.indexOf(':') + 1)
  return join([...list.filter((w) => key === 'has:' || !w.startsWith(key)), word])
}

/** A space at the end, so that the next letters are not taken for a part of the filter. */
function join(list: string[]): string {
  return list.length > 0 ? list.join(' ') + ' ' : ''
}

/** Words, with what stands in quotes kept together. */
function split(words: string): string[] {
  return words.match(/[^\s"]*"[^"]*"?|[^\s"]+/g) ?? []
}
