import { describe, expect, it } from 'vitest'
import { money, parseAmount } from './money'

describe('amounts', () => {
  it.each([
    ['1250', 125_000],
    ['1 250,5', 125_050],
    ['1,250.50', 125_050],
    ['1.250', 125_000],
    ['1,250,000', 125_000_000],
    ['0,05', 5],
    ['€ 12', 1_200],
    ['0', 0],
  ])('%s is read', (text, amount) => expect(parseAmount(text)).toBe(amount))
  it.each(['', 'much', '-5', '12.3.4', '1e3', '99999999999999'])('%s is none', (text) =>
    expect(parseAmount(text)).toBeNull(),
  )
  it('are written without empty hundredths', () => {
    expect(money(125_000, 'EUR')).toBe('€1,250')
    expect(money(125_050, 'EUR')).toBe('€1,250.50')
  })
})
