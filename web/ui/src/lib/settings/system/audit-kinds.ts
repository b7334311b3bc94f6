/** The kinds that one may want to see alone; others are listed under their own names when they happen. */
export const kinds = [
  'login.failed',
  'session.started',
  'session.ended',
  'agent.created',
  'agent.updated',
  'agent.password_changed',
  'agent.password_expired',
  'agent.totp_enabled',
  'agent.totp_removed',
  'audit.password_link',
  'audit.recovery_code_used',
  'audit.recovery_codes_made',
  'audit.exported',
  'invitation.created',
  'invitation.accepted',
  'invitation.revoked',
  'team.created',
  'team.updated',
  'team.deleted',
  'hours.updated',
  'absence.created',
  'token.created',
  'token.revoked',
  'setting.updated',
  'channel.created',
  'channel.updated',
  'channel.deleted',
  'contact.merged',
  'contact.unmerged',
  'contact.erased',
] as const

export function wordKey(kind: string): string {
  return `settings.audit.event.${kind.replaceAll('.', '_')}`
}
