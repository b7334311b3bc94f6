/** "mod+k" on this machine: ⌘K or Ctrl K. Pure words, no listening. */
export const isMac = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.userAgent)

const mac: Record<string, string> = { mod: '⌘', shift: '⇧', alt: '⌥', ctrl: '⌃' }
const other: Record<string, string> = { mod: 'Ctrl', shift: 'Shift', alt: 'Alt', ctrl: 'Ctrl' }
const named: Record<string, string> = {
  enter: '↵',
  escape: 'Esc',
  esc: 'Esc',
  up: '↑',
  down: '↓',
  left: '←',
  right: '→',
  space: '␣',
  backspace: '⌫',
}

export function keyLabel(chord: string, onMac: boolean = isMac): string {
  // "g i" is two presses after another; "mod+k" is one chord.
  return chord
    .split(' ')
    .map((press) => {
      const parts = press === '+' ? ['+'] : press.split('+')
      const words = parts.map((p) => {
        const k = p.toLowerCase()
        return (onMac ? mac : other)[k] ?? named[k] ?? (k.length === 1 ? k.toUpperCase() : p)
      })
      return words.join(onMac ? '' : ' ')
    })
    .join(' ')
}
