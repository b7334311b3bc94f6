/** The settings of a website form as the editor holds them, and the text that goes into the customer's page. */
export const fieldTypes = ['text', 'email', 'phone', 'textarea', 'select', 'checkbox', 'hidden'] as const
export type FieldType = (typeof fieldTypes)[number]

export interface FormField {
  name: string
  label: string
  type: FieldType
  required: boolean
  /** One per line. */
  options: string
}

export interface FormSettings {
  fields: FormField[]
  /** One per line. */
  sites: string
  thanks: string
  redirect: string
  language: string
  pow_bits: number
  min_seconds: number
  per_ip_minute: number
  proof_required: boolean
}

export const MAX_FIELDS = 30

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

/** What the server keeps, as the editor shows it; nothing yet = a form to begin with. */
export function opened(settings: Record<string, unknown> | undefined, first: FormField[]): FormSettings {
  const s = settings ?? {}
  const fields = Array.isArray(s.fields) ? (s.fields as Partial<FormField & { options: string[] }>[]) : null
  const number = (name: string, otherwise: number) => (typeof s[name] === 'number' ? s[name] : otherwise)
  return {
    fields: fields
      ? fields.map((f) => ({
          name: f.name ?? '',
          label: f.label ?? '',
          type: f.type ?? 'text',
          required: f.required ?? false,
          options: Array.isArray(f.options) ? f.options.join('\n') : '',
        }))
      : first,
    sites: Array.isArray(s.sites) ? s.sites.join('\n') : '',
    thanks: String(s.thanks ?? ''),
    redirect: String(s.redirect ?? ''),
    language: String(s.language ?? 'en'),
    pow_bits: number('pow_bits', 16),
    min_seconds: number('min_seconds', 2),
    per_ip_minute: number('per_ip_minute', 10),
    proof_required: s.proof_required === true,
  }
}

/** What goes to the server. */
export function closed(s: FormSettings): Record<string, unknown> {
  return {
    fields: s.fields.map((f) => ({
      name: f.name.trim(),
      label: f.label.trim(),
      type: f.type,
      required: f.required && f.type !== 'hidden',
      ...(f.type === 'select' ? { options: lines(f.options) } : {}),
    })),
    sites: lines(s.sites),
    thanks: s.thanks.trim(),
    redirect: s.redirect.trim(),
    language: s.language,
    pow_bits: Number(s.pow_bits),
    min_seconds: Number(s.min_seconds),
    per_ip_minute: Number(s.per_ip_minute),
    proof_required: s.proof_required,
  }
}

/** A name for the data that is not taken: from the label where that has Latin letters, else by number. */
export function nameFor(label: string, taken: readonly string[]): string {
  const words = label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 40)
  const base = words.length > 1 ? words : 'field'
  for (let n = words.length > 1 ? 1 : taken.length + 1; ; n++) {
    const name = n === 1 ? base : `${base.slice(0, 36)}_${n}`
    if (!taken.includes(name)) return name
  }
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const safe = (text: string) => text.replace(/[&<>"]/g, (c) => escapes[c]!)

export function scriptSnippet(base: string, key: string): string {
  return `<script src="${safe(`${base}/forms/${key}/form.js`)}" defer></` + 'script>'
}

/** A form that also works where scripts do not: whoever styles it may change anything but the names. */
export function htmlSnippet(
  base: string,
  key: string,
  s: Pick<FormSettings, 'fields'>,
  words: { send: string; choose: string; trap: string },
): string {
  const rows = s.fields.map((f) => {
    const name = `name="${safe(f.name)}"`
    const required = f.required && f.type !== 'hidden' ? ' required' : ''
    const label = safe(f.label)
    switch (f.type) {
      case 'hidden':
        return `  <input type="hidden" ${name} value="">`
      case 'checkbox':
        return `  <p><label><input type="checkbox" ${name}${required}> ${label}</label></p>`
      case 'textarea':
        return `  <p><label>${label}<br><textarea ${name} rows="4"${required}></textarea></label></p>`
      case 'select': {
        const options = lines(f.options).map((o) => `<option>${safe(o)}</option>`)
        return `  <p><label>${label}<br><select ${name}${required}><option value="">${safe(words.choose)}</option>${options.join('')}</select></label></p>`
      }
      default: {
        const type = f.type === 'phone' ? 'tel' : f.type
        return `  <p><label>${label}<br><input type="${type}" ${name}${required}></label></p>`
      }
    }
  })
  const trap = trapName(s.fields)
  return [
    `<form action="${safe(`${base}/forms/${key}`)}" method="post" accept-charset="utf-8">`,
    ...rows,
    `  <p style="position:absolute;left:-9999px" aria-hidden="true"><label>${safe(words.trap)} <input name="${trap}" tabindex="-1" autocomplete="off"></label></p>`,
    `  <p><button type="submit">${safe(words.send)}</button></p>`,
    '</form>',
    scriptSnippet(base, key),
  ].join('\n')
}

/** The server's rule: a useful sounding name that the form itself does not have. */
export function trapName(fields: readonly Pick<FormField, 'name'>[]): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? 'website' : `website${n}`
    if (!fields.some((f) => f.name === name)) return name
  }
}
