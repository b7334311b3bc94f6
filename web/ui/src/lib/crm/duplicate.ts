import type { Contact } from '$lib/api/types'

type Card = Pick<Contact, 'id' | 'name' | 'kind' | 'identities'>

/** As many digits at the end of a number decide that it is the same, whatever was written before them. */
const SUFFIX = 9

function fold(name: string): string {
  return name
    .toLocaleLowerCase()
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .split(/\s+/)
    .filter(Boolean)
    .sort()
    .join(' ')
}

/** One word is no name to tell people apart by. */
function tells(name: string): boolean {
  return fold(name).includes(' ')
}

function numbers(card: Card): string[] {
  return (card.identities ?? [])
    .filter((identity) => identity.kind === 'phone' || identity.kind === 'phone_raw')
    .map((identity) => identity.value.replace(/\D/g, '').slice(-SUFFIX))
    .filter((digits) => digits.length === SUFFIX)
}

/** What to search for to find somebody's second card. */
export function searches(card: Card): string[] {
  return [...numbers(card), ...(tells(card.name) ? [card.name] : [])]
}

/** Of the people found, the one who has the same name or the same number. */
export function probableDuplicate<T extends Card>(card: Card, found: readonly T[]): T | null {
  const own = new Set(numbers(card))
  return (
    found.find(
      (other) =>
        other.id !== card.id &&
        other.kind === 'person' &&
        ((tells(card.name) && fold(other.name) === fold(card.name)) ||
          numbers(other).some((n) => own.has(n))),
    ) ?? null
  )
}
