import { t } from '$lib/i18n/index.svelte'
import { href, router, type Route } from '$lib/router.svelte'
import { confirm } from '$lib/ui'

/** While a form holds unsaved text, leaving its screen asks first. Call it while the form's component is being made. */
export function guardDirty(form: { dirty: boolean; busy: boolean }): void {
  $effect(() => {
    const stop = router.guard((to) => {
      if (!form.dirty || form.busy) return true
      void ask(to)
      return false
    })
    const beforeUnload = (e: BeforeUnloadEvent) => {
      if (form.dirty && !form.busy) e.preventDefault()
    }
    addEventListener('beforeunload', beforeUnload)
    return () => {
      stop()
      removeEventListener('beforeunload', beforeUnload)
    }
  })
}

async function ask(to: Route): Promise<void> {
  const leave = await confirm.ask({
    title: t('common.unsaved.title'),
    text: t('common.unsaved.text'),
    confirm: t('common.unsaved.leave'),
    cancel: t('common.unsaved.stay'),
  })
  if (leave) router.go(href(to), { force: true })
}
