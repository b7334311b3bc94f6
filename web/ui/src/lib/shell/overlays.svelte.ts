/** What the shell lays over a screen. */
class Overlays {
  help = $state(false)
}

export const overlays = new Overlays()
