/**
 * Formatted text without innerHTML. The server's HTML is already a sanitised subset; here it is read by a parser that
 * knows nothing but that subset, into a tree that RichText.svelte renders as elements and text nodes. Whatever is not on
 * the list stays visible as the text it contains: nothing a customer sends can become markup.
 */
export type RichTag = 'b' | 'i' | 'u' | 's' | 'code' | 'pre' | 'a' | 'blockquote' | 'ul' | 'ol' | 'li'
export type RichNode = string | RichElement
export interface RichElement {
  tag: RichTag
  href?: string
  children: RichNode[]
}

const aliases: Record<string, RichTag> = {
  b: 'b',
  strong: 'b',
  i: 'i',
  em: 'i',
  u: 'u',
  ins: 'u',
  s: 's',
  strike: 's',
  del: 's',
  code: 'code',
  pre: 'pre',
  a: 'a',
  blockquote: 'blockquote',
  ul: 'ul',
  ol: 'ol',
  li: 'li',
}
const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }
const MAX_DEPTH = 12

/** Only addresses that open something a person would expect; never javascript:, data: or a path of our own. */
export function safeHref(href: string): string | undefined {
  const value = href.trim()
  if (!/^(https?:\/\/|mailto:|tel:)/i.test(value)) return undefined
  try {
    const url = new URL(value)
    return ['http:', 'https:', 'mailto:', 'tel:'].includes(url.protocol) ? url.href : undefined
  } catch {
    return undefined
  }
}

export function parseRich(html: string): RichNode[] {
  const root: RichNode[] = []
  const open: RichElement[] = []
  const into = () => open.at(-1)?.children ?? root
  const add = (text: string) => {
    if (text === '') return
    const children = into()
    const last = children.at(-1)
    if (typeof last === 'string') children[children.length - 1] = last + text
    else children.push(text)
  }
  // A tag, or everything up to the next "<".
  const token =
    /<(\/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[^\s"'>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*\/?>|[^<]+|</g
  for (const [whole, slash, name, attributes] of html.matchAll(token)) {
    if (name === undefined) {
      add(decode(whole))
      continue
    }
    const lower = name.toLowerCase()
    if (lower === 'br') {
      add('\n')
      continue
    }
    const tag = aliases[lower]
    if (tag === undefined) continue
    if (slash) {
      const at = open.findLastIndex((element) => element.tag === tag)
      if (at >= 0) open.length = at
      continue
    }
    if (open.length >= MAX_DEPTH) continue
    const element: RichElement = { tag, children: [] }
    if (tag === 'a') {
      const href = /\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(attributes ?? '')
      const safe = href && safeHref(decode(href[1] ?? href[2] ?? href[3] ?? ''))
      if (!safe) continue
      element.href = safe
    }
    into().push(element)
    open.push(element)
  }
  return root
}

function decode(text: string): string {
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]+);/gi, (whole, body: string) => {
    if (body[0] !== '#') return entities[body.toLowerCase()] ?? whole
    const code =
      body[1] === 'x' || body[1] === 'X' ? parseInt(body.slice(2), 16) : parseInt(body.slice(1), 10)
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
      ? String.fromCodePoint(code)
      : whole
  })
}

const link =
  /\b(?:https?:\/\/|www\.)[^\s<>"'`]+|\b[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+\b/giu

/** Plain text with its addresses as links. */
export function linkify(text: string): RichNode[] {
  const out: RichNode[] = []
  let from = 0
  for (const match of text.matchAll(link)) {
    // A full stop or bracket after an address belongs to the sentence.
    let word = match[0].replace(/[.,;:!?…]+$/u, '')
    while (word.endsWith(')') && count(word, ')') > count(word, '(')) word = word.slice(0, -1)
    const address = /^www\./i.test(word)
      ? `https://${word}`
      : /^https?:/i.test(word)
        ? word
        : `mailto:${word}`
    const href = safeHref(address)
    if (!href) continue
    if (match.index > from) out.push(text.slice(from, match.index))
    out.push({ tag: 'a', href, children: [word] })
    from = match.index + word.length
  }
  if (from < text.length) out.push(text.slice(from))
  return out
}

function count(text: string, char: string): number {
  return text.split(char).length - 1
}

/** What a reader of the tree would read aloud: each item of a list in a line of its own, with its mark. */
export function plain(nodes: readonly RichNode[]): string {
  let out = ''
  const fresh = () => {
    if (out !== '' && !out.endsWith('\n')) out += '\n'
  }
  for (const [at, node] of nodes.entries()) {
    if (typeof node === 'string') {
      out += node
      continue
    }
    if (node.tag !== 'ul' && node.tag !== 'ol') {
      out += plain(node.children)
      continue
    }
    fresh()
    let no = 0
    for (const item of node.children) {
      const words = typeof item === 'string' ? item.trim() : plain(item.children).trimEnd()
      if (words === '') continue
      fresh()
      out += (node.tag === 'ol' ? `${++no}. ` : '• ') + words.replaceAll('\n', '\n   ')
    }
    const next = nodes[at + 1]
    if (next !== undefined && !(typeof next === 'string' && next.startsWith('\n'))) fresh()
  }
  return out
}

/** The tree as HTML of the subset, for sending. */
export function toHtml(nodes: readonly RichNode[]): string {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return escape(node)
      const href = node.tag === 'a' && node.href ? ` href="${escape(node.href)}"` : ''
      return `<${node.tag}${href}>${toHtml(node.children)}</${node.tag}>`
    })
    .join('')
}

/** The same for a letter, where a line break is an element. */
export function toLetterHtml(nodes: readonly RichNode[]): string {
  return toHtml(nodes).replaceAll('\n', '<br>')
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!)
}

/** Whether there is anything in it that plain text cannot say. */
export function formatted(nodes: readonly RichNode[]): boolean {
  return nodes.some((node) => typeof node !== 'string')
}
