import type { Attachment, Channel, Contact, ID, Item, Mention, NewMessage } from '$lib/api/types'
import { addressOf } from '$lib/crm/identity-kind'
import type { Live } from '$lib/live/live.svelte'
import { isBlank, type Draft, type Drafts } from './drafts.svelte'
import { trimmed } from './editor-dom'
import { addressed, answerTo, forwardSubject, mailOf, replySubject, type Envelope } from './mail'
import { formatted, parseRich, plain, toHtml, toLetterHtml, type RichNode } from './rich-text'
import type { Sending, Sends } from './sends.svelte'
import { Upload } from './uploads.svelte'

/** A channel on which this person can be written to, or why not now. */
export interface Way {
  channel: Channel
  /** How the person is called there. */
  address: string
  blocked: string
  /** Nothing can go out there at all, such as through a form. */
  oneWay: boolean
}

export interface SendOptions {
  close?: boolean
  at?: Date
  /** The new items were shown and the answer is to go out all the same. */
  anyway?: boolean
}

const TYPING_EVERY_MS = 4_000

/** What is being written to one conversation. Kept as a draft with every change; never sent to another conversation. */
export class Composer {
  readonly conversation: ID
  nodes = $state.raw<readonly RichNode[]>([])
  /** Grows when the content was set from outside, so that the editor takes it over. */
  revision = $state(0)
  note = $state(false)
  channelId = $state<ID | null>(null)
  replyTo = $state.raw<Draft['reply_to']>(null)
  /** Of an e-mail: whom it goes to and what it is about, once somebody looked; null = it goes where an answer goes. */
  envelope = $state.raw<Envelope | null>(null)
  /** The letter that is passed on: the server quotes it and sends its files along. */
  forwardOf = $state.raw<Draft['forward_of']>(null)
  uploads = $state.raw<readonly Upload[]>([])
  /** Whom the note names; one whose name is not in the text any more is not told. */
  mentions = $state.raw<readonly Mention[]>([])
  /** A message of mine that is being corrected. */
  editing = $state.raw<Item | null>(null)
  /** What came in while it was being written: shown before it goes out. */
  unseen = $state.raw<readonly Item[]>([])
  /** How to go on when the answer is "send it anyway". */
  held = $state.raw<SendOptions | null>(null)

  readonly #live: Live
  readonly #drafts: Drafts
  readonly #sends: Sends
  #typed = 0
  #stopTyping: ReturnType<typeof setTimeout> | undefined
  #aside: readonly RichNode[] | null = null

  constructor(live: Live, drafts: Drafts, sends: Sends, conversation: ID) {
    this.#live = live
    this.#drafts = drafts
    this.#sends = sends
    this.conversation = conversation
    const draft = drafts.get(conversation)
    if (draft) this.#restore(draft)
  }

  readonly text: string = $derived(plain(trimmed(this.nodes)))
  readonly busy: boolean = $derived(this.uploads.some((upload) => upload.state === 'uploading'))
  readonly blank: boolean = $derived(
    this.text === '' &&
      !this.uploads.some((upload) => upload.state === 'done') &&
      (this.forwardOf === null || this.note),
  )
  /** An e-mail that somebody wrote an envelope for needs an address on it. */
  readonly unaddressed: boolean = $derived(
    !this.note && this.envelope !== null && this.mails() && !addressed(this.envelope),
  )

  channel(): Channel | undefined {
    const row = this.#live.conversations.get(this.conversation)
    return this.#live.directory.channels.get(this.channelId ?? row?.channel_id)
  }

  /** Whether what is written here goes out as a letter, with recipients and a subject. */
  mails(): boolean {
    return this.channel()?.capabilities.recipients ?? false
  }

  /** Our own addresses: whoever answers everybody does not answer himself. */
  own(): string[] {
    return this.#live.directory.channels.list.filter((c) => c.capabilities.recipients).map((c) => c.address)
  }

  /** Opens the envelope of an answer to this letter, to look at it or to change it. */
  openEnvelope(item: Item | undefined, all = false): void {
    const row = this.#live.conversations.get(this.conversation)
    const subject = item?.subject || row?.subject || ''
    this.envelope = {
      ...(item ? answerTo(item, all, this.own()) : { to: [], cc: [], bcc: [] }),
      subject: subject && replySubject(subject),
    }
    this.save()
  }

  address(envelope: Envelope | null): void {
    this.envelope = envelope
    if (!envelope) this.forwardOf = null
    this.save()
  }

  /** Passes a letter on. */
  forward(item: Item): void {
    this.note = false
    this.replyTo = null
    this.forwardOf = { id: item.id, author: item.author.name, text: item.subject || item.text.slice(0, 200) }
    this.envelope = { to: [], cc: [], bcc: [], subject: forwardSubject(item.subject) }
    this.save()
  }

  /** The editor's content changed by hand. */
  type(nodes: readonly RichNode[]): void {
    this.nodes = nodes
    if (this.editing) return
    this.save()
    this.#noticeTyping()
  }

  set(nodes: readonly RichNode[]): void {
    this.nodes = nodes
    this.revision++
    if (!this.editing) this.save()
  }

  save(): void {
    this.#drafts.set(this.conversation, {
      text: this.text,
      html: formatted(this.nodes) ? toHtml(this.nodes) : '',
      note: this.note,
      channel_id: this.channelId,
      reply_to: this.replyTo,
      envelope: this.envelope,
      forward_of: this.forwardOf,
      attachments: this.uploads.flatMap((upload) => (upload.attachment ? [upload.attachment] : [])),
      mentions: this.named(),
      at: Date.now(),
    })
  }

  /** Whether the server has the draft. */
  get saved(): boolean {
    return this.#drafts.saved(this.conversation)
  }

  /** Another device of mine changed the draft. */
  adopt(): void {
    const draft = this.#drafts.get(this.conversation)
    if (this.editing) {
      this.#aside = draft ? nodesOf(draft) : []
      return
    }
    const loading = this.uploads.filter((upload) => upload.state !== 'done')
    if (draft) this.#restore(draft)
    else {
      this.nodes = []
      this.uploads = []
      this.mentions = []
      this.replyTo = null
      this.note = false
    }
    this.uploads = [...this.uploads, ...loading]
    this.revision++
  }

  /** A colleague or a team is called: that is for the house only. */
  mention(who: Mention): void {
    if (!this.mentions.some((m) => m.kind === who.kind && m.id === who.id))
      this.mentions = [...this.mentions, who]
    if (!this.note) this.setNote(true)
  }

  named(): Mention[] {
    return this.mentions.filter((m) => this.text.includes(`@${m.name}`))
  }

  setNote(on: boolean): void {
    this.note = on
    if (on) this.#silent()
    this.save()
  }

  reply(item: Item | null, all = false): void {
    this.forwardOf = null
    if (item && mailOf(item)) this.openEnvelope(item, all)
    this.replyTo = item && {
      id: item.id,
      author: item.author.name,
      text: item.text.slice(0, 200) || item.attachments[0]?.name || '',
    }
    if (item) this.note = false
    this.save()
  }

  attach(files: Iterable<File>): void {
    const added = [...files].map((file) => new Upload(file))
    this.uploads = [...this.uploads, ...added]
  }

  detach(upload: Upload): void {
    upload.dispose()
    this.uploads = this.uploads.filter((u) => u !== upload)
    this.save()
  }

  /** Corrects a sent message; what was being written waits aside. */
  startEdit(item: Item): void {
    if (!this.editing) this.#aside = this.nodes
    this.editing = item
    this.nodes = item.html ? parseRich(item.html) : item.text ? [item.text] : []
    this.revision++
  }

  endEdit(): { item: Item; text: string; html: string } | null {
    const item = this.editing
    if (!item) return null
    const nodes = trimmed(this.nodes)
    const result = { item, text: plain(nodes), html: formatted(nodes) ? toHtml(nodes) : '' }
    this.editing = null
    this.nodes = this.#aside ?? []
    this.#aside = null
    this.revision++
    return result
  }

  /** Hands the message over; the box is empty at once. Answers false when there is nothing to send. */
  send(seen: string | undefined, options: SendOptions = {}): boolean {
    const row = this.#live.conversations.get(this.conversation)
    if (!row || this.blank || this.busy || this.unaddressed) return false
    const nodes = trimmed(this.nodes)
    const files = this.uploads.flatMap((upload) => (upload.attachment ? [upload.attachment] : []))
    const channel = this.channel()
    const body: NewMessage = { id: crypto.randomUUID(), text: plain(nodes) }
    const letter = !this.note && this.mails()
    if (formatted(nodes) && !this.note && channel?.capabilities.formatting)
      body.html = letter ? toLetterHtml(nodes) : toHtml(nodes)
    if (files.length > 0) body.attachments = files.map((file) => file.id)
    if (this.note) {
      body.note = true
      const named = this.named()
      if (named.length > 0) body.mentions = named
    } else {
      if (this.channelId && this.channelId !== row.channel_id) body.channel_id = this.channelId
      if (this.replyTo) body.reply_to = this.replyTo.id
      if (letter && this.envelope) Object.assign(body, this.envelope)
      if (letter && this.forwardOf) body.forward_of = this.forwardOf.id
      if (options.at) body.send_at = options.at.toISOString()
      const newest = this.unseen.at(-1)?.id ?? seen
      if (newest) body.seen = newest
      if (options.close) body.close = true
    }
    const known = this.#drafts.version(this.conversation)
    if (known > 0) body.draft_version = known
    const local = this.#local(body, files, channel)
    this.#clear()
    this.#sends.send(this.conversation, body, local)
    return true
  }

  /** A message that did not go out comes back here, before anything typed since. */
  takeBack(sending: Pick<Sending, 'body' | 'local'>): void {
    const { body, local } = sending
    const old: RichNode[] = body.html ? parseRich(body.html) : body.text ? [body.text] : []
    const typed = this.text === '' ? [] : ['\n\n', ...this.nodes]
    this.note = local.kind === 'note'
    this.channelId = body.channel_id ?? null
    this.replyTo = local.reply_to
    this.mentions = [...this.mentions, ...(body.mentions ?? [])]
    if (body.to || body.cc || body.bcc)
      this.envelope = {
        to: body.to ?? [],
        cc: body.cc ?? [],
        bcc: body.bcc ?? [],
        subject: body.subject ?? '',
      }
    if (body.forward_of)
      this.forwardOf = { id: body.forward_of, author: local.author.name, text: body.subject ?? '' }
    const have = new Set(this.uploads.map((upload) => upload.attachment?.id))
    this.uploads = [
      ...this.uploads,
      ...local.attachments.filter((a) => !have.has(a.id)).map((a) => new Upload(a)),
    ]
    this.set([...old, ...typed])
  }

  /** The server has newer items than were on the screen. */
  ask(sending: Sending, unseen: readonly Item[]): void {
    this.takeBack(sending)
    this.unseen = unseen
    this.held = {
      close: sending.body.close,
      ...(sending.body.send_at ? { at: new Date(sending.body.send_at) } : {}),
    }
  }

  dismissUnseen(): void {
    this.unseen = []
    this.held = null
  }

  leave(): void {
    this.#silent()
    if (!this.editing) this.save()
  }

  /** The channels on which the person has an address. The conversation's own comes first. */
  ways(contact: Contact | undefined, offline: (channel: Channel) => string): Way[] {
    const row = this.#live.conversations.get(this.conversation)
    const own = this.#live.directory.channels.get(row?.channel_id)
    const ways: Way[] = []
    for (const channel of this.#live.directory.channels.list) {
      const identity = contact?.identities.find((i) => i.kind === channel.kind)
      // A new talk elsewhere needs an address that the person once wrote from.
      const met = contact?.conversations.some((c) => c.channel_kind === channel.kind)
      if (channel.id !== own?.id && (!identity || !met || !channel.enabled)) continue
      ways.push({
        channel,
        address: identity ? addressOf(identity) : '',
        blocked: identity?.unreachable || offline(channel),
        oneWay: channel.capabilities.receive_only,
      })
    }
    return ways.sort((a, b) => Number(b.channel.id === own?.id) - Number(a.channel.id === own?.id))
  }

  #local(body: NewMessage, attachments: Attachment[], channel: Channel | undefined): Item {
    const row = this.#live.conversations.get(this.conversation)!
    return {
      id: body.id,
      version: 0,
      seq: '0',
      kind: body.note ? 'note' : 'message',
      content: attachments[0]?.kind ?? 'text',
      direction: 'out',
      conversation_id: this.conversation,
      channel_id: channel?.id ?? row.channel_id,
      channel_kind: channel?.kind ?? row.channel_kind,
      author: {
        kind: 'agent',
        id: this.#live.me,
        name: this.#live.directory.agents.get(this.#live.me)?.name ?? '',
      },
      text: body.text,
      truncated: false,
      html: body.html ?? '',
      subject: body.subject ?? '',
      data: body.mentions
        ? { mentions: body.mentions }
        : body.to
          ? {
              email: {
                from: { name: '', address: channel?.address },
                to: body.to,
                cc: body.cc,
                bcc: body.bcc,
              },
            }
          : {},
      attachments,
      status: body.note ? 'sent' : 'queued',
      error: '',
      reply_to: this.replyTo,
      reactions: [],
      album: '',
      in_no: 0,
      history: false,
      send_at: body.send_at ?? null,
      edited_at: null,
      deleted_at: null,
      at: new Date().toISOString(),
      raw_url: null,
      revisions: 0,
    }
  }

  #restore(draft: Draft): void {
    this.nodes = nodesOf(draft)
    this.note = draft.note
    this.mentions = draft.mentions
    this.channelId = draft.channel_id
    this.replyTo = draft.reply_to
    this.envelope = draft.envelope
    this.forwardOf = draft.forward_of
    this.uploads = draft.attachments.map((attachment) => new Upload(attachment))
  }

  #clear(): void {
    this.nodes = []
    this.uploads = []
    this.mentions = []
    this.replyTo = null
    this.envelope = null
    this.forwardOf = null
    this.unseen = []
    this.held = null
    // A note is one thought: the next text is for the customer again.
    this.note = false
    this.revision++
    this.#drafts.clear(this.conversation)
    this.#silent()
  }

  #noticeTyping(): void {
    if (this.note || isBlank({ text: this.text, attachments: [] })) {
      this.#silent()
      return
    }
    const now = Date.now()
    if (now - this.#typed > TYPING_EVERY_MS) {
      this.#typed = now
      this.#live.typing(this.conversation, true)
    }
    clearTimeout(this.#stopTyping)
    this.#stopTyping = setTimeout(() => this.#silent(), TYPING_EVERY_MS + 1_000)
  }

  #silent(): void {
    clearTimeout(this.#stopTyping)
    if (this.#typed === 0) return
    this.#typed = 0
    this.#live.typing(this.conversation, false)
  }
}

function nodesOf(draft: Draft): readonly RichNode[] {
  return draft.html ? parseRich(draft.html) : draft.text ? [draft.text] : []
}
