/** The variables of a canned answer; its form lists them in this order. */
export const variables = ['contact.name', 'contact.first_name', 'agent.name', 'conversation.number'] as const
export type Variable = (typeof variables)[number]

/**
 * Puts values in the place of variables, once: a value that looks like a variable stays what it is. What is no variable
 * of ours is left as it was typed. The result is plain text, and it goes into the editor as text only.
 */
export function expand(text: string, values: Record<Variable, string>): string {
  return text.replace(/\{\{\s*([a-z_.]+)\s*\}\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name as Variable] : whole,
  )
}

export function firstName(name: string): string {
  return name.trim().split(/\s+/u)[0] ?? ''
}
