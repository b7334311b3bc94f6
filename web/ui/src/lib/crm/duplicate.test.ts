import { expect, it } from 'vitest'
import { probableDuplicate, searches } from './duplicate'

const card = (id: string, name: string, ...phones: string[]) => ({
  id,
  name,
  kind: 'person' as const,
  identities: phones.map((value, i) => ({
    id: `${id}${i}`,
    kind: 'phone',
    value,
    display: value,
    unreachable: '',
    shared: false,
    trust: '',
    last_seen: '',
  })),
})

it('looks for the end of a number and for a whole name', () => {
  expect(searches(card('1', 'Sara Mekonnen', '+251 91 123 4567'))).toEqual(['911234567', 'Sara Mekonnen'])
  expect(searches(card('1', 'Sara'))).toEqual([])
})

it('knows the same person by name, in any order and case, or by number', () => {
  const sara = card('1', 'Sara Mekonnen', '+251911234567')
  expect(probableDuplicate(sara, [sara, card('2', 'mekonnen  SARA')])?.id).toBe('2')
  expect(probableDuplicate(sara, [card('3', 'S. M.', '0911234567')])?.id).toBe('3')
  expect(probableDuplicate(sara, [card('4', 'Sara Bekele', '+251911234568')])).toBeNull()
})
