/** "conversations.reply" under the key that the catalogue has for it. */
export function scopeKey(scope: string): string {
  return `settings.tokens.scope.${scope.replaceAll('.', '_')}`
}

/** read is every look, write every change that needs no right of its own; the rights follow. */
export const plainScopes = ['read', 'write'] as const
