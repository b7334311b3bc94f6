import { describe, expect, it } from 'vitest'
import { closed, htmlSnippet, nameFor, opened, scriptSnippet, trapName, type FormField } from './shape'

const field = (change: Partial<FormField>): FormField => ({
  name: 'name',
  label: 'Name',
  type: 'text',
  required: false,
  options: '',
  ...change,
})

describe('settings of a form', () => {
  it('go to the server and come back as they were', () => {
    const editor = opened(undefined, [
      field({ required: true }),
      field({ name: 'plan', label: 'Plan', type: 'select', options: 'Small\n Large \n\n' }),
    ])
    editor.sites = ' https://a.test\n\nhttps://b.test '
    const kept = closed(editor)
    expect(kept).toMatchObject({
      sites: ['https://a.test', 'https://b.test'],
      fields: [{ name: 'name', required: true }, { options: ['Small', 'Large'] }],
    })
    expect(closed(opened(kept, []))).toEqual(kept)
  })

  it('never ask for what a visitor does not see', () => {
    const kept = closed(opened(undefined, [field({ type: 'hidden', required: true })]))
    expect(kept.fields).toMatchObject([{ required: false }])
  })
})

it.each([
  ['Your name', [], 'your_name'],
  ['Your name', ['your_name'], 'your_name_2'],
  ['Имя', ['a', 'b'], 'field_3'],
  ['2nd phone', [], 'nd_phone'],
  ['', [], 'field'],
])('names %j beside %j as %j', (label, taken, want) => {
  expect(nameFor(label, taken)).toBe(want)
})

it('writes a page that nobody can break out of by a label', () => {
  const words = { send: 'Send', choose: 'Choose', trap: 'Empty' }
  const html = htmlSnippet(
    'https://hub.test',
    'k',
    { fields: [field({ label: '"><script>alert(1)</script>' })] },
    words,
  )
  const page = new DOMParser().parseFromString(html, 'text/html')
  expect(page.querySelectorAll('script')).toHaveLength(1)
  expect(page.querySelector('form')?.getAttribute('action')).toBe('https://hub.test/forms/k')
  expect(html).toContain(scriptSnippet('https://hub.test', 'k'))
})

it('hides the trap behind a name that the form does not have', () => {
  expect(trapName([field({})])).toBe('website')
  expect(trapName([field({ name: 'website' })])).toBe('website2')
})
