import { readStored, writeStored } from './storage'
import type { Attachment, Channel, ID, Mailbox } from '$lib/api/types'
import type { Live } from '$lib/live/live.svelte'
import type { Envelope } from './mail'

/** What a new message begins with. */
export interface Beginning {
  to: Mailbox[]
  contact?: ID
}

/** The new message that is being written, wherever in the application somebody began it. */
class NewMail {
  beginning = $state.raw<Beginning | null>(null)

  open(beginning: Beginning = { to: [] }): void {
    this.beginning = beginning
  }

  close(): void {
    this.beginning = null
  }
}

export const newMail = new NewMail()

/** Channels on which one may write to somebody who never wrote. */
export function writable(live: Live): Channel[] {
  return live.directory.channels.list.filter(
    (c) => c.enabled && c.capabilities.recipients && c.capabilities.first_contact,
  )
}

/** A new message that was begun and not sent. One for each agent and browser. */
export interface NewDraft {
  channel: ID
  envelope: Envelope
  text: string
  html: string
  attachments: Attachment[]
}

const key = (me: ID) => `parley.newmail.${me}`

export function keptDraft(me: ID): NewDraft | null {
  return readStored<NewDraft>(key(me)) ?? null
}

export function keepDraft(me: ID, draft: NewDraft | null): void {
  const blank =
    !draft ||
    (draft.text.trim() === '' &&
      draft.attachments.length === 0 &&
      draft.envelope.subject === '' &&
      draft.envelope.to.length + draft.envelope.cc.length + draft.envelope.bcc.length === 0)
  writeStored(key(me), blank ? undefined : draft)
}
