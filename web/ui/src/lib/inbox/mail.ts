import type { Item, Mailbox, MailData } from '$lib/api/types'

/** What the screen knows of e-mail: reading what an item carries, and making an answer of it. No words, no elements. */

/** What an item says of itself as an e-mail; null when it is none. */
export function mailOf(item: Pick<Item, 'data'>): MailData | null {
  const mail = item.data.email as Partial<MailData> | undefined
  if (!mail || typeof mail !== 'object') return null
  const none: Mailbox = { name: '', address: '' }
  return {
    from: mail.from ?? none,
    to: mail.to ?? [],
    cc: mail.cc ?? [],
    bcc: mail.bcc ?? [],
    reply_to: mail.reply_to ?? [],
    more: mail.more ?? 0,
    message_id: mail.message_id ?? '',
    auto: mail.auto ?? '',
    auth: mail.auth ?? null,
    has_html: mail.has_html ?? false,
    simple: mail.simple ?? false,
    quote_at: mail.quote_at ?? -1,
    signature_at: mail.signature_at ?? -1,
    spoofable: mail.spoofable ?? false,
    copies: mail.copies ?? [],
    warnings: mail.warnings ?? [],
  }
}

export interface MailParts {
  said: string
  signature: string
  quote: string
}

/** The text in its three parts. Places are counted in characters, as people do: an emoji is one. */
export function partsOf(text: string, mail: Pick<MailData, 'quote_at' | 'signature_at'>): MailParts {
  const runes = [...text]
  const place = (at: number) => (at < 0 || at > runes.length ? runes.length : at)
  const quote = place(mail.quote_at)
  // A signature below the quotation belongs to whoever is quoted.
  const signature = Math.min(place(mail.signature_at), quote)
  const said = runes.slice(0, signature).join('').trim()
  // A letter that only passes something on is shown as it is.
  if (said === '') return { said: text.trim(), signature: '', quote: '' }
  return {
    said,
    signature: runes.slice(signature, quote).join('').trim(),
    quote: runes.slice(quote).join('').trim(),
  }
}

export type Verdict = 'pass' | 'fail' | 'unknown'

/** Whether the sender is who he says, as our own server saw it. */
export function verdictOf(mail: MailData): Verdict {
  if (!mail.auth) return 'unknown'
  const { spf, dkim, dmarc } = mail.auth
  if (dmarc === 'pass') return 'pass'
  if (dmarc === 'fail' || mail.spoofable) return 'fail'
  if (dkim === 'fail' || spf === 'fail') return 'fail'
  return dkim === 'pass' || spf === 'pass' ? 'pass' : 'unknown'
}

const prefix = /^\s*(?:(?:re|aw|sv|fw|fwd|wg|vs|отв|ответ|пер|hа|на)\s*(?:\[\d+\])?\s*:\s*)+/iu

export function replySubject(subject: string): string {
  return `Re: ${bare(subject)}`.trim()
}

export function forwardSubject(subject: string): string {
  return `Fwd: ${bare(subject)}`.trim()
}

function bare(subject: string): string {
  return subject.replace(prefix, '').trim()
}

export interface Recipients {
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
}

/** What stands on a letter's envelope. */
export interface Envelope extends Recipients {
  subject: string
}

export function addressed(envelope: Recipients): boolean {
  return envelope.to.length + envelope.cc.length + envelope.bcc.length > 0
}

/** Whom an answer goes to: the sender, or everybody who was in the letter but us. own: our addresses. */
export function answerTo(item: Item, all: boolean, own: readonly string[]): Recipients {
  const mail = mailOf(item)
  if (!mail) return { to: [], cc: [], bcc: [] }
  const ours = new Set(own.map((address) => address.toLowerCase()))
  const seen = new Set<string>()
  const others = (list: readonly Mailbox[]) =>
    list.filter(({ address }) => {
      const key = address.toLowerCase()
      if (key === '' || ours.has(key) || seen.has(key)) return false
      seen.add(key)
      return true
    })
  // To our own letter one answers whoever it went to.
  const sender = item.direction === 'out' ? mail.to : mail.reply_to.length > 0 ? mail.reply_to : [mail.from]
  const to = others(sender)
  if (!all) return { to, cc: [], bcc: [] }
  const more = item.direction === 'out' ? [] : others(mail.to)
  return { to: [...to, ...more], cc: others(mail.cc), bcc: [] }
}

const address = /^[^\s@<>"(),;:\\[\]]+@[^\s@<>"(),;:\\[\]]+\.[^\s@<>"(),;:\\[\].]+$/u

/** Whether it looks like an address; the server has the last word. */
export function validAddress(text: string): boolean {
  return text.length <= 254 && address.test(text)
}

/** Reads what somebody typed or pasted: "Sara <sara@a.et>, tom@b.et". What is no address stays as rest. */
export function parseMailboxes(text: string): { found: Mailbox[]; rest: string } {
  const found: Mailbox[] = []
  const rest: string[] = []
  for (const piece of text.split(/[,;\n]+(?=(?:[^"]*"[^"]*")*[^"]*$)/u)) {
    const words = piece.trim()
    if (words === '') continue
    const named = /^(.*?)\s*<([^<>]+)>$/u.exec(words)
    const one = named
      ? { name: named[1]!.replace(/^"|"$/gu, '').trim(), address: named[2]!.trim() }
      : { name: '', address: words.replace(/^mailto:/iu, '') }
    if (validAddress(one.address)) found.push(one)
    else rest.push(words)
  }
  return { found, rest: rest.join(', ') }
}

/** A person with an address in one line. */
export function mailboxText({ name, address }: Mailbox): string {
  return name && name !== address ? `${name} <${address}>` : address
}

/** The part by which people call a sender. */
export function mailboxName({ name, address }: Mailbox): string {
  return name || address
}

/**
 * How high a frame begins, in pixels. Nobody outside can measure it (it has no origin of ours and runs no script), so
 * the plain text tells about how much there is; the reader can make it higher.
 */
export function frameHeight(text: string): number {
  const lines = text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 80)), 0)
  return Math.min(560, Math.max(140, 60 + lines * 22))
}
