import { describe, expect, it } from 'vitest'
import { formatted, linkify, parseRich, plain, safeHref, toHtml, toLetterHtml } from './rich-text'

describe('parseRich', () => {
  it.each([
    ['a <b>bold</b> word', ['a ', { tag: 'b', children: ['bold'] }, ' word']],
    [
      '<strong>x</strong><em>y</em>',
      [
        { tag: 'b', children: ['x'] },
        { tag: 'i', children: ['y'] },
      ],
    ],
    ['1 &lt; 2 &amp; 3', ['1 < 2 & 3']],
    ['a<br>b', ['a\nb']],
    [
      '<a href="https://x.et/?a=1&amp;b=2">x</a>',
      [{ tag: 'a', href: 'https://x.et/?a=1&b=2', children: ['x'] }],
    ],
    ['<b><i>x</b>y</i>', [{ tag: 'b', children: [{ tag: 'i', children: ['x'] }] }, 'y']],
    ['&#128077;&#x1F44D;', ['👍👍']],
    ['1 < 2', ['1 < 2']],
    ['<b', ['<b']],
  ])('%s', (html, tree) => expect(parseRich(html)).toEqual(tree))

  it.each([
    ['<script>alert(1)</script>', 'alert(1)'],
    ['<img src=x onerror=alert(1)>hi', 'hi'],
    ['<a href="javascript:alert(1)">x</a>', 'x'],
    ['<a href=" jAvaScript:alert(1)">x</a>', 'x'],
    ['<a href="data:text/html,x">x</a>', 'x'],
    ['<svg/onload=alert(1)>x', '<svg/onload=alert(1)>x'],
    ['<b onclick="alert(1)">x</b>', 'x'],
    ['&#xD800;', '&#xD800;'],
  ])('leaves nothing dangerous of %s', (html, text) => {
    const tree = parseRich(html)
    expect(plain(tree)).toBe(text)
    expect(JSON.stringify(tree)).not.toContain('"href"')
  })

  it('reads lists, and says them in lines', () => {
    const html = 'Two:<ul><li>a <b>b</b></li><li>c</li></ul>then<ol><li>d</li><li>e</li></ol>'
    const tree = parseRich(html)
    expect(toHtml(tree)).toBe(html)
    expect(plain(tree)).toBe('Two:\n• a b\n• c\nthen\n1. d\n2. e')
    expect(toLetterHtml(['a\nb', { tag: 'b', children: ['c\n<'] }])).toBe('a<br>b<b>c<br>&lt;</b>')
  })

  it('is not fooled by depth', () => {
    expect(plain(parseRich('<b>'.repeat(500) + 'x' + '</b>'.repeat(500)))).toBe('x')
  })

  it('goes out as it came in', () => {
    const html = 'a <b>b <i>c</i></b> <a href="https://x.et/?a=1&amp;b=2">d</a> &lt;e&gt;'
    expect(toHtml(parseRich(html))).toBe(html)
  })
})

describe('linkify', () => {
  it.each([
    ['see https://x.et/a.', 'https://x.et/a'],
    ['(https://x.et/a_(b))', 'https://x.et/a_(b)'],
    ['www.x.et, please', 'https://www.x.et/'],
    ['write sara@habesha.et!', 'mailto:sara@habesha.et'],
  ])('%s', (text, href) => {
    const tree = linkify(text)
    expect(tree.find((n) => typeof n !== 'string')).toMatchObject({ tag: 'a', href })
    expect(plain(tree)).toBe(text)
  })
  it('leaves words alone', () => {
    expect(formatted(linkify('3.5 m, e.g. a@b or ሰላም'))).toBe(false)
  })
})

it('safeHref', () => {
  expect(safeHref('/api/me')).toBeUndefined()
  expect(safeHref('vbscript:x')).toBeUndefined()
  expect(safeHref('tel:+251911234567')).toBe('tel:+251911234567')
})
