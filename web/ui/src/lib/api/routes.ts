/** The table of the API's routes, in the form that openapi-fetch reads. Words, not logic. */
import type {
  Absence,
  Agent,
  AgentSecurity,
  AgentStatus,
  Attachment,
  AuditRow,
  Bulk,
  BulkChange,
  BulkFailure,
  Canned,
  Channel,
  ChannelTest,
  Contact,
  Conversation,
  ConversationStatus,
  Counts,
  DryRun,
  Found,
  FoundKind,
  Health,
  Hours,
  ID,
  Invitation,
  Item,
  Lead,
  List,
  Locale,
  MailServers,
  Me,
  Mention,
  Mentionable,
  MergeResult,
  NewConversation,
  NewMessage,
  Notice,
  NoticeSettings,
  OutboxRow,
  DataExport,
  Pipeline,
  Retention,
  Stage,
  StageTotal,
  Quarantined,
  Revision,
  Role,
  SavedDraft,
  Scope,
  Session,
  Settings,
  Tag,
  Team,
  Theme,
  Timeline,
  Token,
  TotpSetup,
  TotpState,
  View,
} from './types'

interface Spec {
  path?: Record<string, string>
  query?: Record<string, unknown>
  body?: unknown
  ok: unknown
}
/** One operation: what it takes and what it answers. */
export interface Op<S extends Spec> {
  parameters: {
    path: S['path'] extends Record<string, string> ? S['path'] : never
    query?: S['query'] extends Record<string, unknown> ? S['query'] : never
  }
  requestBody: S extends { body: infer B } ? { content: { 'application/json': B } } : never
  responses: { 200: { content: { 'application/json': S['ok'] } } }
}
type ById = { id: ID }
type ByMessage = { id: ID; mid: string }
type Page = { limit?: number; cursor?: string }
type None = undefined

export type NewTeam = Omit<Team, 'id' | 'version'>
export type NewHours = Omit<Hours, 'id' | 'version'>
export interface NewChannel {
  kind: string
  name: string
  team_id?: ID | null
  region?: string
  reopen_days?: number
  settings: Record<string, unknown>
}
export type ChannelPatch = Partial<Omit<NewChannel, 'kind'>> & { version: number; enabled?: boolean }
export type AgentPatch = Partial<
  Pick<Agent, 'name' | 'role' | 'scope' | 'capacity' | 'disabled' | 'team_ids' | 'hours_id'>
> & { version: number }
export interface ConversationPatch {
  version?: number
  status?: ConversationStatus
  snoozed_until?: string | null
  /** "" means nobody. */
  assignee_id?: ID
  team_id?: ID | null
  priority?: 0 | 1 | 2 | 3
  tags?: string[]
}
export type NewCanned = Pick<Canned, 'scope' | 'team_id' | 'shortcut' | 'title' | 'text'> & {
  attachments: string[]
}
export type NewView = Pick<View, 'name' | 'shared' | 'filter'>
export interface DraftBody {
  /** The newest version that I know. */
  version: number
  text: string
  html: string
  note: boolean
  channel_id: ID | null
  reply_to: string | null
  attachments: string[]
  mentions: Mention[]
}
export type ConversationQuery = Page & {
  view?: string
  team?: ID
  assignee?: ID
  status?: ConversationStatus
  channel?: ID
  tag?: string
  q?: string
}
export type AuditFilter = { kind?: string; agent?: ID; from?: string; to?: string }
export type TimelineQuery = { before?: string; after?: string; around?: string; limit?: number }
export interface ContactPatch {
  version: number
  name?: string
  owner_id?: ID | null
  tags?: string[]
  fields?: Record<string, unknown>
  identities_add?: { kind: string; value: string }[]
  identities_remove?: ID[]
}

/** Narrows leads, alike for lists and totals. owner: an id, or none. */
export type LeadFilter = { pipeline?: ID; owner?: ID; source?: string; q?: string }
export interface NewPipeline {
  name: string
  currency: string
  stages: (Omit<Stage, 'id' | 'position'> & { id?: ID })[]
}

export interface Routes {
  '/api/setup': {
    get: Op<{ query: { token?: string }; ok: { needed: boolean; valid: boolean } }>
    post: Op<{
      body: {
        token: string
        name: string
        email: string
        password: string
        workspace_name: string
        locale: Locale
      }
      ok: Me
    }>
  }
  '/api/invitations/accept': {
    get: Op<{ query: { token: string }; ok: { email: string; name: string; role: Role } }>
    post: Op<{
      body: { token: string; name: string; password: string; locale: Locale; totp?: string }
      ok: Me
    }>
  }
  '/api/session': {
    post: Op<{ body: { email: string; password: string; totp?: string }; ok: Me }>
    delete: Op<{ ok: None }>
  }
  '/api/sessions': { get: Op<{ ok: List<Session> }>; delete: Op<{ ok: None }> }
  '/api/sessions/{id}': { delete: Op<{ path: ById; ok: None }> }
  '/api/me': {
    get: Op<{ ok: Me }>
    patch: Op<{ body: { name?: string; email?: string; locale?: Locale; theme?: Theme }; ok: Me }>
  }
  '/api/me/password': { post: Op<{ body: { current: string; password: string }; ok: None }> }
  '/api/me/proof': { post: Op<{ body: { password?: string; totp?: string }; ok: None }> }
  '/api/me/totp': { get: Op<{ ok: TotpState }>; post: Op<{ ok: TotpSetup }>; delete: Op<{ ok: None }> }
  '/api/me/totp/confirm': { post: Op<{ body: { code: string }; ok: { codes: string[] } }> }
  '/api/me/totp/codes': { post: Op<{ ok: { codes: string[] } }> }
  '/api/me/status': { put: Op<{ body: { status: AgentStatus }; ok: unknown }> }

  '/api/agents': { get: Op<{ query: Page; ok: List<Agent> }> }
  '/api/agents/{id}': { patch: Op<{ path: ById; body: AgentPatch; ok: Agent }> }
  '/api/agents/{id}/security': { get: Op<{ path: ById; ok: AgentSecurity }> }
  '/api/agents/{id}/sessions': {
    get: Op<{ path: ById; ok: List<Session> }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/agents/{id}/sessions/{sid}': { delete: Op<{ path: { id: ID; sid: ID }; ok: None }> }
  '/api/agents/{id}/totp': { delete: Op<{ path: ById; ok: None }> }
  '/api/agents/{id}/expire-password': { post: Op<{ path: ById; ok: None }> }
  '/api/agents/{id}/reset-link': { post: Op<{ path: ById; ok: { link: string } }> }
  '/api/teams': { get: Op<{ query: Page; ok: List<Team> }>; post: Op<{ body: NewTeam; ok: Team }> }
  '/api/teams/{id}': {
    patch: Op<{ path: ById; body: Partial<NewTeam> & { version: number }; ok: Team }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/hours': { get: Op<{ query: Page; ok: List<Hours> }>; post: Op<{ body: NewHours; ok: Hours }> }
  '/api/hours/{id}': {
    patch: Op<{ path: ById; body: Partial<NewHours> & { version: number }; ok: Hours }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/invitations': {
    get: Op<{ query: Page; ok: List<Invitation> }>
    post: Op<{
      body: { email: string; name: string; role: Role; scope: Scope; team_ids: ID[] }
      ok: Invitation
    }>
  }
  '/api/invitations/{id}': { delete: Op<{ path: ById; ok: None }> }
  '/api/tokens': {
    get: Op<{ query: Page; ok: List<Token> }>
    post: Op<{ body: { name: string; scopes: string[]; expires_at: string | null }; ok: Token }>
  }
  '/api/tokens/{id}': { delete: Op<{ path: ById; ok: None }> }
  '/api/settings': {
    get: Op<{ ok: Settings }>
    patch: Op<{ body: Partial<Settings>; ok: Settings }>
  }
  '/api/audit': { get: Op<{ query: Page & AuditFilter; ok: List<AuditRow> }> }
  '/api/absences': {
    get: Op<{ query: Page & { agent?: ID }; ok: List<Absence> }>
    post: Op<{ body: Omit<Absence, 'id'>; ok: Absence }>
  }
  '/api/absences/{id}': { delete: Op<{ path: ById; ok: None }> }

  '/api/channels': {
    get: Op<{ query: Page; ok: List<Channel> }>
    post: Op<{ body: NewChannel; ok: Channel }>
  }
  '/api/channels/{id}': {
    get: Op<{ path: ById; ok: Channel }>
    patch: Op<{ path: ById; body: ChannelPatch; ok: Channel }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/channels/test': {
    post: Op<{ body: { kind: string; settings: Record<string, unknown>; id?: ID }; ok: ChannelTest }>
  }
  '/api/channels/email/settings': { get: Op<{ query: { address: string }; ok: MailServers }> }
  '/api/channels/{id}/quarantine': { get: Op<{ path: ById; query: Page; ok: List<Quarantined> }> }
  '/api/channels/{id}/quarantine/{qid}/retry': { post: Op<{ path: { id: ID; qid: ID }; ok: None }> }

  '/api/search': {
    get: Op<{ query: Page & { q: string; kinds?: FoundKind; zone?: string }; ok: Found }>
  }
  '/api/conversations': {
    get: Op<{ query: ConversationQuery; ok: List<Conversation> }>
    post: Op<{ body: NewConversation; ok: Conversation }>
  }
  '/api/conversations/{id}': {
    get: Op<{ path: ById; ok: Conversation }>
    patch: Op<{ path: ById; body: ConversationPatch; ok: Conversation }>
  }
  '/api/conversations/{id}/timeline': { get: Op<{ path: ById; query: TimelineQuery; ok: Timeline }> }
  '/api/conversations/{id}/messages': { post: Op<{ path: ById; body: NewMessage; ok: Item }> }
  '/api/conversations/{id}/messages/{mid}': {
    get: Op<{ path: ByMessage; ok: Item }>
    patch: Op<{ path: ByMessage; body: { text: string; html?: string }; ok: Item }>
    delete: Op<{ path: ByMessage; ok: Item }>
  }
  '/api/conversations/{id}/messages/{mid}/cancel': { post: Op<{ path: ByMessage; ok: Item }> }
  '/api/conversations/{id}/messages/{mid}/retry': { post: Op<{ path: ByMessage; ok: Item }> }
  '/api/conversations/{id}/messages/{mid}/resolve': {
    post: Op<{ path: ByMessage; body: { sent: boolean }; ok: Item }>
  }
  '/api/conversations/{id}/messages/{mid}/reaction': {
    put: Op<{ path: ByMessage; body: { emoji: string }; ok: Item }>
  }
  '/api/conversations/{id}/messages/{mid}/revisions': { get: Op<{ path: ByMessage; ok: List<Revision> }> }
  '/api/conversations/{id}/read': { post: Op<{ path: ById; body: { message_id: string }; ok: None }> }
  '/api/drafts': { get: Op<{ ok: List<SavedDraft> }> }
  '/api/conversations/{id}/draft': {
    get: Op<{ path: ById; ok: SavedDraft }>
    put: Op<{ path: ById; body: DraftBody; ok: SavedDraft }>
  }
  '/api/conversations/{id}/mentionable': { get: Op<{ path: ById; ok: List<Mentionable> }> }
  '/api/canned': { get: Op<{ ok: List<Canned> }>; post: Op<{ body: NewCanned; ok: Canned }> }
  '/api/canned/{id}': {
    patch: Op<{ path: ById; body: NewCanned & { version: number }; ok: Canned }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/canned/{id}/use': { post: Op<{ path: ById; ok: List<Attachment> }> }
  '/api/views': { get: Op<{ ok: List<View> }>; post: Op<{ body: NewView; ok: View }> }
  '/api/views/{id}': {
    patch: Op<{ path: ById; body: NewView & { version: number }; ok: View }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/bulk': {
    get: Op<{ ok: List<Bulk> }>
    post: Op<{ body: { ids?: ID[]; view?: string; change: BulkChange }; ok: Bulk }>
  }
  '/api/bulk/{id}/failures': { get: Op<{ path: ById; query: Page; ok: List<BulkFailure> }> }
  '/api/bulk/{id}/undo': { post: Op<{ path: ById; ok: Bulk }> }
  '/api/notifications': { get: Op<{ query: Page; ok: List<Notice> }> }
  '/api/notifications/unread': { get: Op<{ ok: { unread: number } }> }
  '/api/notifications/read': {
    post: Op<{ body: { ids?: ID[]; conversation_id?: ID; all?: boolean }; ok: None }>
  }
  '/api/me/notifications': {
    get: Op<{ ok: NoticeSettings }>
    put: Op<{ body: NoticeSettings; ok: NoticeSettings }>
  }
  '/api/push/key': { get: Op<{ ok: { key: string } }> }
  '/api/push/subscriptions': {
    post: Op<{ body: { endpoint: string; keys: { p256dh: string; auth: string } }; ok: { id: ID } }>
  }
  '/api/push/subscriptions/{id}': { delete: Op<{ path: ById; ok: None }> }
  '/api/uploads': { post: Op<{ body: FormData; ok: Attachment }> }
  '/api/counts': { get: Op<{ ok: Counts }> }
  '/api/outbox': {
    get: Op<{ query: Page & { state?: 'failed' | 'uncertain' | 'queued' }; ok: List<OutboxRow> }>
  }
  '/api/tags': { get: Op<{ ok: List<Tag> }> }
  '/api/routing/dry-run': { get: Op<{ query: { channel?: ID; contact?: ID }; ok: DryRun }> }
  '/api/health': { get: Op<{ ok: Health }> }

  '/api/contacts': {
    get: Op<{ query: Page & { q?: string }; ok: List<Contact> }>
    post: Op<{
      body: {
        name: string
        identities: { kind: string; value: string }[]
        owner_id?: ID
        tags?: string[]
        fields?: Record<string, unknown>
      }
      ok: Contact
    }>
  }
  '/api/contacts/{id}': {
    get: Op<{ path: ById; ok: Contact }>
    patch: Op<{ path: ById; body: ContactPatch; ok: Contact }>
    delete: Op<{ path: ById; ok: None }>
  }
  '/api/contacts/{id}/timeline': { get: Op<{ path: ById; query: TimelineQuery; ok: Timeline }> }
  '/api/contacts/{id}/merge': { post: Op<{ path: ById; body: { from: ID[] }; ok: MergeResult }> }
  '/api/contacts/{id}/hold': { put: Op<{ path: ById; body: { hold: boolean }; ok: Contact }> }
  '/api/contacts/{id}/export': { post: Op<{ path: ById; ok: DataExport }> }
  '/api/contact-exports': { get: Op<{ ok: List<DataExport> }> }
  '/api/channels/{id}/retention': {
    get: Op<{ path: ById; ok: Retention }>
    put: Op<{ path: ById; body: Omit<Retention, 'channel_id'>; ok: Retention }>
  }
  '/api/merges/{id}/undo': { post: Op<{ path: ById; ok: Contact }> }
  '/api/leads': {
    get: Op<{ query: Page & LeadFilter & { contact?: ID; stage?: ID }; ok: List<Lead> }>
    post: Op<{
      body: { contact_id: ID; pipeline_id?: ID; title?: string; amount?: number }
      ok: Lead
    }>
  }
  '/api/leads/{id}': {
    patch: Op<{
      path: ById
      body: { version: number; stage_id?: ID; owner_id?: ID | null; title?: string; amount?: number }
      ok: Lead
    }>
  }
  '/api/lead-totals': { get: Op<{ query: LeadFilter; ok: List<StageTotal> }> }
  '/api/pipelines': {
    get: Op<{ ok: List<Pipeline> }>
    post: Op<{ body: NewPipeline; ok: Pipeline }>
  }
  '/api/pipelines/{id}': {
    patch: Op<{
      path: ById
      body: Partial<NewPipeline> & { version: number; is_default?: boolean }
      ok: Pipeline
    }>
  }
  '/api/sample-data': { delete: Op<{ ok: None }> }
}
