/**
 * Who is signed in. undefined: not asked yet; null: nobody. Rooms react to `me`; what must end with the session
 * (sockets, caches) registers with onEnd.
 */
import { api, type Client } from './api/client'
import type { Agent, AgentStatus, Locale, Me, Permission, Theme } from './api/types'
import { i18n } from './i18n/index.svelte'
import { theme } from './theme.svelte'

export class SessionState {
  me = $state.raw<Me | null | undefined>(undefined)
  #enders = new Set<() => void>()

  constructor(private readonly client: Client = api) {}

  get signedIn(): boolean {
    return !!this.me
  }

  can(permission: Permission): boolean {
    return this.me?.permissions.includes(permission) ?? false
  }

  /** Asks the server who we are. A refusal is an answer (nobody); no answer at all is an error. */
  async load(): Promise<void> {
    try {
      await this.begin(await this.client.get('/api/me', { anonymous: true }))
    } catch (err) {
      if ((err as { status?: number }).status !== 401) throw err
      this.me = null
    }
  }

  async begin(me: Me): Promise<void> {
    theme.choose(me.theme)
    if (me.locale !== i18n.locale) await i18n.use(me.locale)
    this.me = me
  }

  /** The session is over, here or at the server. */
  end(): void {
    if (this.me === null) return
    this.me = null
    for (const f of this.#enders) f()
  }

  onEnd(f: () => void): () => void {
    this.#enders.add(f)
    return () => this.#enders.delete(f)
  }

  async signOut(): Promise<void> {
    await this.client.delete('/api/session', { anonymous: true })
    this.end()
  }

  /** News about myself, from an answer or from an event. */
  setAgent(agent: Agent): void {
    if (this.me && this.me.agent.id === agent.id)
      this.me = { ...this.me, agent: { ...this.me.agent, ...agent } }
  }

  patchWorkspace(change: Partial<Me['workspace']>): void {
    if (this.me) this.me = { ...this.me, workspace: { ...this.me.workspace, ...change } }
  }

  /** Shown at once; a refusal puts the old one back. */
  async setStatus(status: AgentStatus): Promise<void> {
    if (!this.me) return
    const old = this.me.agent
    this.setAgent({ ...old, status, status_since: new Date().toISOString() })
    try {
      await this.client.put('/api/me/status', { body: { status } })
    } catch (err) {
      this.setAgent(old)
      throw err
    }
  }

  async setTheme(choice: Theme): Promise<void> {
    theme.choose(choice)
    if (this.me) this.me = await this.client.patch('/api/me', { body: { theme: choice } })
  }

  async setLocale(locale: Locale): Promise<void> {
    await i18n.use(locale)
    if (this.me) this.me = await this.client.patch('/api/me', { body: { locale } })
  }
}

export const session = new SessionState()
