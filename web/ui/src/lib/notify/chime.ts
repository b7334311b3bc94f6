let context: AudioContext | undefined
let last = 0

/** Two short notes, made here so that no file is fetched; not more often than every two seconds. */
export function chime(now = Date.now()): void {
  if (now - last < 2_000) return
  last = now
  try {
    context ??= new AudioContext()
    const start = context.currentTime
    for (const [i, pitch] of [660, 880].entries()) {
      const [tone, volume] = [context.createOscillator(), context.createGain()]
      tone.frequency.value = pitch
      const at = start + i * 0.12
      volume.gain.setValueAtTime(0, at)
      volume.gain.linearRampToValueAtTime(0.12, at + 0.01)
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.25)
      tone.connect(volume).connect(context.destination)
      tone.start(at)
      tone.stop(at + 0.26)
    }
  } catch {
    // No sound on this device, or nobody has touched the page yet: the bell shows it all the same.
  }
}
