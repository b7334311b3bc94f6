import { untrack } from 'svelte'
import { api } from '$lib/api/client'
import type { Channel } from '$lib/api/types'
import { fmt } from '$lib/i18n/format.svelte'
import { t, tOr } from '$lib/i18n/index.svelte'
import type { Live } from '$lib/live/live.svelte'
import { session } from '$lib/session.svelte'
import { alert, badges, problems, say, type Issue } from '$lib/ui'

/** A blink of the connection is nobody's business. */
const patienceMs = 2_000
/** How often the server is asked how it feels; everything else comes by itself. */
const healthMs = 60_000

/**
 * Watches what can be wrong (the connection, the channels, sends that failed) and tells the bar on top and the rail.
 * Call it while a component is being made: its effects live as long as that component.
 */
export function watch(live: Live): void {
  let now = $state(Date.now())

  $effect(() => {
    const since = live.reconnectingSince
    if (since === null) {
      problems.clear('live')
      return
    }
    const shown = setTimeout(
      () => {
        untrack(() =>
          problems.set({
            id: 'live',
            severity: 'warn',
            weight: 100,
            text: () =>
              t('common.problem.reconnecting', { ago: fmt.duration(Math.max(0, now - live.lastSynced)) }),
            action: { label: t('common.problem.reconnect_now'), run: () => live.reconnect() },
          }),
        )
        say(t('common.problem.reconnecting_said'))
      },
      Math.max(0, since + patienceMs - Date.now()),
    )
    const tick = setInterval(() => (now = Date.now()), 1000)
    return () => {
      clearTimeout(shown)
      clearInterval(tick)
    }
  })

  let known = new Set<string>()
  $effect(() => {
    const issues = [...live.directory.channels.values()].flatMap((c) => channelIssue(c))
    untrack(() => {
      problems.replace('channel:', issues)
      for (const i of issues) if (!known.has(i.id)) alert(i.text as string)
      known = new Set(issues.map((i) => i.id))
    })
  })

  $effect(() => {
    const counts = live.counts
    const trouble = counts?.trouble ?? 0
    untrack(() => {
      badges.set('inbox', counts?.mine_unread ?? 0)
      if (trouble === 0) problems.clear('trouble')
      else
        problems.set({
          id: 'trouble',
          severity: 'warn',
          text: () => t('common.problem.trouble', { count: trouble }),
          action: { label: t('common.problem.look'), href: '/settings/trouble' },
        })
    })
  })

  $effect(() => {
    const ask = () =>
      api.get('/api/health').then(
        (health) => {
          if (health.problems.some((p) => p.code === 'spine_late'))
            problems.set({
              id: 'late',
              severity: 'warn',
              weight: 50,
              text: () => t('common.problem.late', { span: fmt.duration(health.spine_lag_s * 1000) }),
            })
          else problems.clear('late')
          const full = health.disks.find((disk) => disk.low)
          if (full)
            problems.set({
              id: 'disk',
              severity: 'bad',
              weight: 40,
              text: () => t('common.problem.disk', { free: fmt.bytes(full.free) }),
              action: { label: t('common.problem.look'), href: '/settings/data' },
            })
          else problems.clear('disk')
        },
        () => {}, // the live connection tells of a server that is away
      )
    void ask()
    const timer = setInterval(() => void ask(), healthMs)
    return () => clearInterval(timer)
  })

  $effect(() => {
    if (session.me?.workspace.insecure)
      problems.set({ id: 'insecure', severity: 'warn', weight: -1, text: () => t('common.problem.insecure') })
    else problems.clear('insecure')
  })

  $effect(() => {
    const until = session.me?.password_until
    if (until)
      problems.set({
        id: 'password',
        severity: 'warn',
        weight: -2,
        text: () => t('common.problem.password', { when: fmt.date(until) }),
        action: { label: t('common.problem.change'), href: '/settings/security' },
      })
    else problems.clear('password')
  })

  // What colleagues (or another window of mine) change about me.
  $effect(() => live.on('agent.updated', (agent) => session.setAgent(agent)))
  $effect(() => {
    const me = session.me?.agent
    const seen = me && live.people.agents.get(me.id)
    if (me && seen && seen !== me.status) untrack(() => session.setAgent({ ...me, status: seen }))
  })
}

function channelIssue(c: Channel): Issue[] {
  const manages = session.can('channels.manage')
  const issues: Issue[] = []
  if (manages && c.quarantined > 0)
    issues.push({
      id: `channel:${c.id}:quarantine`,
      severity: 'warn',
      text: t('common.problem.quarantine', { count: c.quarantined, name: c.name }),
      action: { label: t('common.problem.look'), href: `/settings/channels/${c.id}/quarantine` },
    })
  if (!c.enabled || (c.state !== 'needs_login' && c.state !== 'failed')) return issues
  const kind = tOr(`common.channel_kind.${c.kind}`, c.kind)
  return [
    ...issues,
    {
      id: `channel:${c.id}`,
      severity: 'bad',
      text:
        c.state === 'needs_login'
          ? t('common.problem.needs_login', { kind, name: c.name })
          : t('common.problem.failed', { kind, name: c.name, reason: c.reason }),
      action: manages ? { label: t('common.problem.fix'), href: `/settings/channels/${c.id}` } : undefined,
    },
  ]
}
