import { plain, safeHref, type RichElement, type RichNode, type RichTag } from './rich-text'

/** Between the editable element and the tree of rich-text.ts. Neither direction ever sees HTML as a string. */
const tags: Record<string, RichTag> = {
  B: 'b',
  STRONG: 'b',
  I: 'i',
  EM: 'i',
  U: 'u',
  S: 's',
  STRIKE: 's',
  DEL: 's',
  CODE: 'code',
  PRE: 'pre',
  BLOCKQUOTE: 'blockquote',
  UL: 'ul',
  OL: 'ol',
  LI: 'li',
}

export function nodesFromDom(root: Node): RichNode[] {
  const out: RichNode[] = []
  const add = (text: string) => {
    const last = out.at(-1)
    if (typeof last === 'string') out[out.length - 1] = last + text
    else if (text) out.push(text)
  }
  const endsOpen = () => out.length > 0 && !plain(out).endsWith('\n')
  for (const node of root.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) add((node.nodeValue ?? '').replaceAll('\u00a0', ' '))
    if (!(node instanceof HTMLElement)) continue
    if (node.tagName === 'BR') {
      add('\n')
      continue
    }
    const children = nodesFromDom(node)
    const tag = tags[node.tagName]
    if (tag) {
      if (children.length > 0) out.push({ tag, children })
      continue
    }
    if (node instanceof HTMLAnchorElement) {
      const href = safeHref(node.getAttribute('href') ?? '')
      if (href) out.push({ tag: 'a', href, children })
      else for (const child of children) typeof child === 'string' ? add(child) : out.push(child)
      continue
    }
    // A block that the browser made for a line of its own.
    if ((node.tagName === 'DIV' || node.tagName === 'P') && endsOpen()) add('\n')
    for (const child of children) typeof child === 'string' ? add(child) : out.push(child)
  }
  return out
}

export function domFromNodes(nodes: readonly RichNode[]): DocumentFragment {
  const fragment = document.createDocumentFragment()
  for (const node of nodes) fragment.append(typeof node === 'string' ? node : element(node))
  return fragment
}

function element(node: RichElement): HTMLElement {
  const made = document.createElement(node.tag)
  if (made instanceof HTMLAnchorElement && node.href) made.href = node.href
  made.append(domFromNodes(node.children))
  return made
}

/** What is sent: no empty lines around, but inside everything as it was typed. */
export function trimmed(nodes: readonly RichNode[]): RichNode[] {
  const copy = nodes.map((node) =>
    typeof node === 'string' ? node : { ...node, children: [...node.children] },
  )
  while (typeof copy[0] === 'string' && copy[0].trimStart() !== copy[0]) copy[0] = copy[0].trimStart()
  if (copy[0] === '') copy.shift()
  const last = copy.at(-1)
  if (typeof last === 'string') {
    const end = last.trimEnd()
    if (end === '') copy.pop()
    else copy[copy.length - 1] = end
  }
  return copy
}
