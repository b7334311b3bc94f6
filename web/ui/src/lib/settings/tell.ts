import { asApiError } from '$lib/api/errors'
import { explain } from '$lib/api/explain'
import { toasts } from '$lib/ui'

/** Runs an action outside any form; what goes wrong is told at the edge of the screen. */
export async function tell(action: () => Promise<void>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (err) {
    const words = explain(asApiError(err))
    toasts.bad(words.title, { detail: words.text })
    return false
  }
}
