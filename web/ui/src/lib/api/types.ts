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
