/** base64 of whatever a provider sent, for people: indented when it is JSON, else as text. */
export function readable(raw: string): string {
  let text: string
  try {
    text = new TextDecoder().decode(Uint8Array.from(atob(raw), (c) => c.charCodeAt(0)))
  } catch {
    return raw
  }
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
