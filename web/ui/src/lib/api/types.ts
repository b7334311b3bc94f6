/**
 * The shapes that travel between the server and this application. Big numbers are decimal strings, times are
 * RFC 3339 in UTC, an absent value is null. The websocket's frames are at the end.
 */
export type ID = string
export type Locale = 'en' | 'ru' | 'am'
export type Theme = 'system' | 'light' | 'dark'
export type Role = 'admin' | 'supervisor' | 'agent' | 'auditor'
export type Scope = 'own' | 'team' | 'all'
export type AgentStatus = 'online' | 'busy' | 'away' | 'off'
export type Permission =
  | 'conversations.reply'
  | 'conversations.assign'
  | 'contacts.edit'
  | 'contacts.merge'
  | 'channels.manage'
  | 'agents.manage'
  | 'teams.manage'
  | 'settings.manage'
  | 'audit.read'
  | 'tokens.manage'
  | 'data.manage'

export interface List<T> {
  items: T[]
  next_cursor: string | null
}

/** RFC 9457, as the server sends it. */
export interface Problem {
  type?: string
  title: string
  status: number
  detail?: string
  code?: string
  errors?: { location: string; message: string; value?: unknown }[]
  [extra: string]: unknown
}

// ---- search

export type FoundKind = 'people' | 'messages' | 'files'
/** A stretch of text; hits are what was asked for. */
export interface Piece {
  text: string
  hit: boolean
}
export interface FoundList<T> extends List<T> {
  /** The time was up before everything older was looked at. */
  partial: boolean
}
export interface FoundPerson {
  id: ID
  kind: 'person' | 'group'
  name: Piece[]
  address_kind: string
  address: Piece[]
  conversation_id: ID | null
  channel_kind: string
}
export interface FoundMessage {
  id: string
  at: string
  kind: Item['kind']
  content: string
  direction: 'in' | 'out'
  conversation_id: ID
  channel_kind: string
  contact: Conversation['contact']
  author: Item['author']
  text: Piece[]
}
export interface FoundFile {
  attachment: Attachment
  name: Piece[]
  message_id: string
  at: string
  conversation_id: ID
  channel_kind: string
  contact: Conversation['contact']
}
export interface Found {
  people: FoundList<FoundPerson>
  messages: FoundList<FoundMessage>
  files: FoundList<FoundFile>
}

// ---- people who work

export interface Agent {
  id: ID
  version: number
  email: string
  name: string
  role: Role
  scope: Scope
  team_ids: ID[]
  capacity: number
  status: AgentStatus
  status_since: string
  disabled: boolean
  hours_id: ID | null
  created_at: string
}
export interface Workspace {
  name: string
  base_url: string
  insecure: boolean
  sample_data: boolean
  version: string
}
export interface Me {
  agent: Agent
  locale: Locale
  theme: Theme
  permissions: string[]
  workspace: Workspace
  session_id: ID | null
  /** There is a second factor. */
  totp: boolean
  /** What has to be done before anything else: every other call is refused. */
  must: ('password' | 'totp')[]
  /** Set when the password has to be changed within two weeks. */
  password_until: string | null
}
export interface TotpState {
  enabled: boolean
  required: boolean
  since: string | null
  recovery_codes: number
}
export interface TotpSetup {
  secret: string
  uri: string
  /** A data: URL. */
  qr: string
}
export interface AgentSecurity {
  totp: boolean
  password_expired: boolean
}
export type Strategy = 'round_robin' | 'least_busy' | 'manual'
export interface Team {
  id: ID
  version: number
  name: string
  strategy: Strategy
  sticky: boolean
  hours_id: ID | null
  auto_reply: string
  offline_grace_s: number
  member_ids: ID[]
}
export interface HoursSpan {
  day: number
  from: string
  to: string
}
export interface Hours {
  id: ID
  version: number
  name: string
  timezone: string
  week: HoursSpan[]
  holidays: string[]
}
export interface Invitation {
  id: ID
  email: string
  name: string
  role: Role
  scope: Scope
  team_ids: ID[]
  expires_at: string
  /** Only in the answer to the POST that made it. */
  link?: string
}
export interface Session {
  id: ID
  created_at: string
  last_seen_at: string
  ip: string
  user_agent: string
  current: boolean
}
export interface Token {
  id: ID
  name: string
  prefix: string
  scopes: string[]
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  /** Shown once, in the answer to the POST that made it. */
  secret?: string
}
export interface AuditRow {
  id: ID
  at: string
  kind: string
  actor: { kind: string; id: ID | null; name: string }
  subject: { kind: string; id: string }
  detail: Record<string, unknown>
}
export interface Settings {
  workspace_name: string
  session_idle_hours: number
  session_max_days: number
  password_min: number
  sessions_max: number
  password_mix: boolean
  password_max_days: number
  password_words: string[]
  totp_roles: Role[]
  clamd_address: string
  undo_seconds: number
  locale: Locale
  phone_region: string
}
export interface Absence {
  id: ID
  agent_id: ID
  from: string
  to: string
  reason: string
}

// ---- channels

export type ChannelState = 'connecting' | 'up' | 'needs_login' | 'failed'
export interface Capabilities {
  max_text: number
  max_file: number
  formatting: boolean
  files: boolean
  reply: boolean
  edit: boolean
  delete: boolean
  react: boolean
  reactions: string[]
  typing: boolean
  receipts: boolean
  deduplicates: boolean
  first_contact: boolean
  receive_only: boolean
  subject: boolean
  recipients: boolean
  parallel_sends: number
}
export interface Channel {
  id: ID
  version: number
  kind: string
  name: string
  team_id: ID | null
  pipeline_id: ID | null
  region: string
  reopen_days: number
  enabled: boolean
  sample: boolean
  /** What customers write to, and what stands below every answer; "" where messages do not name their recipients. */
  address: string
  signature: string
  /** Secrets come as ""; settings_set names those that are set. */
  settings: Record<string, unknown>
  settings_set: string[]
  state: ChannelState
  reason: string
  state_at: string
  until: string | null
  last_event_at: string | null
  lag_ms: number
  queued: number
  failed: number
  uncertain: number
  quarantined: number
  capabilities: Capabilities
}
export interface ChannelTest {
  ok: boolean
  step: string
  detail: string
}
export interface Quarantined {
  id: ID
  event_key: string
  error: string
  at: string
  /** base64 */
  raw: string
}

// ---- inbox

export type ConversationStatus = 'open' | 'waiting' | 'snoozed' | 'closed'
export interface Conversation {
  id: ID
  number: string
  version: number
  status: ConversationStatus
  priority: 0 | 1 | 2 | 3
  contact: { id: ID; name: string }
  channel_id: ID
  channel_kind: string
  assignee_id: ID | null
  team_id: ID | null
  tags: string[]
  /** Mine; 0 in events: then in_count minus one's own read_in_no. */
  unread: number
  in_count: number
  read_in_no: number
  waiting_since: string | null
  snoozed_until: string | null
  subject: string
  last_at: string
  last_text: string
  last_kind: string
  last_direction: 'in' | 'out'
  message_count: number
  created_at: string
  closed_at: string | null
}
export type ItemStatus =
  'received' | 'queued' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'uncertain'
export interface Item {
  id: string
  version: number
  seq: string
  kind: 'message' | 'note' | 'call' | 'event'
  content: string
  direction: 'in' | 'out'
  conversation_id: ID
  channel_id: ID
  channel_kind: string
  author: { kind: 'contact' | 'agent' | 'system'; id: ID | null; name: string }
  text: string
  /** The whole text is at GET .../messages/{id}. */
  truncated: boolean
  /** A sanitised subset (b i u s code pre a blockquote) or "". */
  html: string
  subject: string
  // Its shape depends on content and, for events, on data.event.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  data: Record<string, any>
  attachments: Attachment[]
  status: ItemStatus
  error: string
  reply_to: { id: string; author: string; text: string } | null
  reactions: { emoji: string; author: { kind: string; id: ID; name: string } }[]
  album: string
  in_no: number
  history: boolean
  send_at: string | null
  edited_at: string | null
  deleted_at: string | null
  at: string
  raw_url: string | null
  revisions: number
}
/** A name with an address. */
export interface Mailbox {
  name: string
  address: string
}
/** What an item of content "email" carries in data.email. */
export interface MailData {
  from: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  /** Ours only. */
  bcc: Mailbox[]
  reply_to: Mailbox[]
  /** Recipients that were left out of the lists. */
  more: number
  message_id: string
  auto: '' | 'reply' | 'bounce' | 'list' | 'bulk'
  auth: { spf: string; dkim: string; dmarc: string; by: string } | null
  has_html: boolean
  /** Its formatting says nothing that the text does not. */
  simple: boolean
  /** In characters of the text; -1 = none. */
  quote_at: number
  signature_at: number
  spoofable: boolean
  /** Channels in which it arrived too. */
  copies: ID[]
  warnings: string[]
}
export type AttachmentKind = 'photo' | 'voice' | 'audio' | 'video' | 'document' | 'sticker' | 'animation'
export interface Attachment {
  id: string
  kind: AttachmentKind
  name: string
  type: string
  size: number
  width: number
  height: number
  duration_ms: number
  state: 'pending' | 'ok' | 'failed' | 'expired'
  error: string
  url: string
  preview_url: string | null
  /** Shown in place by the letter that carries it. */
  content_id?: string
}
export interface Counts {
  mine: number
  mine_unread: number
  unassigned: number
  all: number
  snoozed: number
  teams: Record<ID, number>
  /** Failed and uncertain sends that I may see. */
  trouble: number
  /** Of saved views; one of closed conversations has no number. */
  views: Record<ID, number>
}
/** Whom a note names. */
export interface Mention {
  kind: 'agent' | 'team'
  id: ID
  name: string
}
export interface Mentionable extends Mention {
  /** How many of them may see the conversation. */
  seeing: number
  members: number
}
/** What I began to write, as the server keeps it for all my devices. */
export interface SavedDraft {
  agent_id: ID
  conversation_id: ID
  version: number
  text: string
  html: string
  note: boolean
  channel_id: ID | null
  reply_to: { id: string; author: string; text: string } | null
  attachments: Attachment[]
  mentions: Mention[]
  /** Of an e-mail: the envelope once somebody looked at it, and the letter that is passed on. */
  letter: {
    envelope: { to: Mailbox[]; cc: Mailbox[]; bcc: Mailbox[]; subject: string } | null
    forward_of: { id: string; author: string; text: string } | null
  } | null
  /** Too long for an event: fetch it. */
  truncated: boolean
  updated_at: string
}
export type CannedScope = 'own' | 'team' | 'all'
export interface Canned {
  id: ID
  version: number
  scope: CannedScope
  agent_id: ID
  team_id: ID | null
  shortcut: string
  title: string
  text: string
  attachments: { id: string; kind: string; name: string; type: string; size: number }[]
  used: number
  used_at: string | null
  /** I may change it. */
  mine: boolean
}
export type NoticeKind = 'assigned' | 'message' | 'mention' | 'queue'
/** One line of the bell. */
export interface Notice {
  id: ID
  version: number
  agent_id: ID
  kind: NoticeKind
  conversation_id: ID
  message_id: string | null
  /** The customer's name. */
  title: string
  text: string
  /** The colleague who did it; "" = the customer, or the hub. */
  actor: string
  times: number
  at: string
  read_at: string | null
}
export type NoticeHow = 'off' | 'bell' | 'push'
export type NoticeSettings = Record<NoticeKind, NoticeHow> & { sound: boolean }
/** What is done to each of many conversations. */
export interface BulkChange {
  status?: ConversationStatus
  snoozed_until?: string | null
  /** null = nobody */
  assignee_id?: ID | null
  team_id?: ID | null
  tags_add?: string[]
  tags_remove?: string[]
}
export interface Bulk {
  id: ID
  version: number
  agent_id: ID
  change: BulkChange
  undo_of: ID | null
  state: 'running' | 'done'
  total: number
  done: number
  failed: number
  can_undo: boolean
  created_at: string
  finished_at: string | null
}
export interface BulkFailure {
  no: number
  conversation_id: ID
  /** "0" = I may not see it. */
  number: string
  name: string
  error: string
}
export interface ViewFilter {
  status: 'active' | 'open' | 'waiting' | 'snoozed' | 'closed'
  team_id: ID | null
  /** An agent's id, "me", "none", or "" for anybody. */
  assignee: string
  channel_id: ID | null
  tag: string
  /** At least this. */
  priority: number
  waiting_minutes: number
  unread: boolean
}
export interface View {
  id: ID
  version: number
  agent_id: ID
  shared: boolean
  name: string
  filter: ViewFilter
}
export interface Timeline {
  items: Item[]
  prev_cursor: string | null
  next_cursor: string | null
}
export interface NewMessage {
  id: string
  text: string
  html?: string
  attachments?: string[]
  channel_id?: ID
  note?: boolean
  reply_to?: string
  send_at?: string
  /** The newest item on the screen; 409 "unseen" with {items} when something newer came in. */
  seen?: string
  close?: boolean
  mentions?: Mention[]
  draft_version?: number
  /** E-mail only; without recipients the answer goes to the sender. */
  subject?: string
  to?: Mailbox[]
  cc?: Mailbox[]
  bcc?: Mailbox[]
  /** Its text is quoted below, its files go along. */
  forward_of?: string
}
/** A message that begins a conversation. */
export interface NewConversation {
  id: string
  channel_id: ID
  contact_id?: ID
  to?: Mailbox[]
  cc?: Mailbox[]
  bcc?: Mailbox[]
  subject?: string
  text: string
  html?: string
  attachments?: string[]
}
/** Where mail programs find an account's servers. */
export interface MailServers {
  imap: { host: string; port: number; tls: string; username: string }
  smtp: { host: string; port: number; tls: string; username: string }
  source: 'known' | 'autoconfig' | 'srv' | 'guess'
  note: string
}
export interface Revision {
  no: number
  at: string
  text: string
  html: string
}
export interface OutboxRow {
  item: Item
  conversation: Conversation
}
export interface Tag {
  name: string
  color: string
}
export interface DryRun {
  team_id: ID | null
  agent_id: ID | null
  why: string[]
}
export interface HealthProblem {
  code: string
  text: string
  subject: string
}
export interface DiskUse {
  what: 'database' | 'data' | 'files'
  free: number
  total: number
  low: boolean
}
export interface Health {
  spine_lag_s: number
  spine_holder: string
  channels: {
    id: ID
    name: string
    state: ChannelState
    reason: string
  }[]
  /** Empty for those who manage no data. */
  disks: DiskUse[]
  insecure: boolean
  problems: HealthProblem[]
  [extra: string]: unknown
}

// ---- people who are served

export interface Identity {
  id: ID
  kind: string
  value: string
  display: string
  unreachable: string
  shared: boolean
  trust: string
  last_seen: string
}
export interface ContactConversation {
  id: ID
  number: string
  channel_kind: string
  status: ConversationStatus
  last_at: string
  last_text: string
}
export interface ContactMerge {
  id: ID
  from: { id: ID; name: string }
  at: string
  kind: string
  undoable: boolean
}
export interface Asserted {
  kind: string
  value: string
  source: string
  last_seen: string
  known: { id: ID; name: string } | null
}
export interface Contact {
  id: ID
  version: number
  kind: 'person' | 'group'
  name: string
  owner_id: ID | null
  company_id: null
  language: string
  tags: string[]
  fields: Record<string, unknown>
  attribution: Record<string, string>
  identities: Identity[]
  /** Only on the card: what the person says and nobody has proven, and who says to be this person. */
  asserted: Asserted[]
  asserted_by: { id: ID; name: string }[]
  leads: Lead[]
  conversations: ContactConversation[]
  merges: ContactMerge[]
  merged_into: ID | null
  sample: boolean
  /** Nothing of this person is removed, neither by age nor by hand. */
  legal_hold: boolean
  created_at: string
  updated_at: string
}
/** What a contact event carries. */
export type ContactShort = Pick<Contact, 'id' | 'version' | 'name' | 'owner_id' | 'tags' | 'merged_into'>
export interface Lead {
  id: ID
  version: number
  contact: { id: ID; name: string }
  pipeline_id: ID
  stage_id: ID
  title: string
  owner_id: ID | null
  source: string
  attribution: Record<string, string>
  /** In hundredths of the pipeline's currency; 0 = not known. */
  amount: number
  outcome: 'won' | 'lost' | 'merged' | null
  previous_lead: ID | null
  /** Since when it is in its stage. */
  stage_at: string
  closed_at: string | null
  created_at: string
  updated_at: string
}
/** One person's data on its way out. */
export interface DataExport {
  id: ID
  contact: { id: ID; name: string }
  state: 'queued' | 'working' | 'done' | 'failed' | 'expired'
  done: number
  total: number
  size: number
  error: string
  created_at: string
  expires_at: string
}
/** How many days things of a channel are kept; 0 = for ever. */
export interface Retention {
  channel_id: ID
  version: number
  message_days: number
  raw_days: number
  file_days: number
}
export interface Stage {
  id: ID
  position: number
  name: string
  kind: 'incoming' | 'open' | 'won' | 'lost'
  /** After how many days in it somebody should look at a lead; 0 = never. */
  rot_days: number
}
export interface StageTotal {
  stage_id: ID
  count: number
  amount: number
}
export interface Pipeline {
  id: ID
  version: number
  name: string
  currency: string
  is_default: boolean
  stages: Stage[]
}
export interface MergeResult {
  id: ID
  merges: ID[]
  contact: Contact
}

// ---- live

export type Presence = Record<ID, AgentStatus>
export type ClientFrame =
  | { type: 'hello'; since?: string }
  | { type: 'ping' }
  | { type: 'watch'; conversation_id?: ID | null }
  | { type: 'typing'; conversation_id: ID; on: boolean }
  | { type: 'read'; conversation_id: ID; message_id: string }
  | { type: 'status'; status: AgentStatus }

/** What each kind of event carries. */
export interface EventData {
  /** What came from outside brings its conversation along, as it is after it. */
  'message.created': Item & { conversation?: Conversation }
  'message.updated': Item
  'conversation.created': Conversation
  'conversation.updated': Conversation
  'conversation.gone': { id: ID }
  'read.updated': { conversation_id: ID; agent_id: ID; in_no: number }
  'contact.created': ContactShort
  'contact.updated': ContactShort
  'contact.merged': { into: ID; from: ID; merge_id: ID }
  'contact.unmerged': { into: ID; from: ID; merge_id: ID }
  'lead.created': Lead
  'lead.updated': Lead
  'pipeline.updated': Pipeline
  'agent.updated': Agent
  'team.updated': Team
  'team.deleted': Team
  'channel.updated': Omit<Channel, 'settings' | 'settings_set'>
  'channel.deleted': Omit<Channel, 'settings' | 'settings_set'>
  'setting.updated': { key: string }
  'draft.updated': SavedDraft
  'canned.updated': { id: ID }
  'canned.deleted': { id: ID }
  'notification.updated': Notice
  'notification.read': { agent_id: ID; ids: ID[]; conversation_id: ID | null; all: boolean }
  'bulk.updated': Bulk
  'view.updated': View
  'view.deleted': View
}
export type EventKind = keyof EventData
export type EventFrame = {
  [K in EventKind]: {
    type: 'event'
    cursor: string
    kind: K
    at: string
    actor: { kind: string; id: ID | null }
    conversation_id: ID | null
    data: EventData[K]
  }
}[EventKind]
export type ServerFrame =
  | { type: 'ready'; cursor: string; counts: Counts; presence: Presence }
  | { type: 'snapshot'; cursor: string; counts: Counts; presence: Presence }
  | { type: 'pong' }
  | EventFrame
  | ({ type: 'counts' } & Counts)
  | {
      type: 'typing'
      conversation_id: ID
      who: { kind: 'agent' | 'contact'; id: ID; name: string }
      on: boolean
    }
  | { type: 'viewers'; conversation_id: ID; agents: ID[] }
  | { type: 'presence'; agents: Presence }
  | { type: 'error'; code: string; message: string; ref?: string }
