import { fmt } from '$lib/i18n/format.svelte'

/** An amount in hundredths, as people write it: without hundredths that are zero. */
export function money(amount: number, currency: string): string {
  const digits = amount % 100 === 0 ? 0 : 2
  return fmt.number(amount / 100, {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

const most = 1_000_000_000_000

/** What somebody typed, in hundredths: "1 250,5" and "1,250.50" alike; null when it is no amount. */
export function parseAmount(text: string): number | null {
  const bare = text.replace(/[\s\p{Sc}']/gu, '')
  const cut = Math.max(bare.lastIndexOf('.'), bare.lastIndexOf(','))
  // The last mark is a decimal one when one or two digits follow it.
  const decimal = cut >= 0 && /^[.,]\d{1,2}$/.test(bare.slice(cut))
  const whole = (decimal ? bare.slice(0, cut) : bare).replace(/[.,](?=\d{3}(\D|$))/g, '')
  const part = decimal ? bare.slice(cut + 1).padEnd(2, '0') : '00'
  if (!/^\d{1,11}$/.test(whole)) return null
  const amount = Number(whole) * 100 + Number(part)
  return amount <= most ? amount : null
}
