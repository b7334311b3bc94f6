import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Router } from './router.svelte'

let stop: () => void
let router: Router
beforeEach(() => {
  history.replaceState(null, '', '/inbox/mine')
  router = new Router()
  stop = router.start()
})
afterEach(() => {
  stop()
  document.body.innerHTML = ''
})

/** Whether the router took the click; the browser is kept from following those that it left. */
function taken(html: string, init: MouseEventInit = {}): boolean {
  document.body.innerHTML = html
  let prevented = false
  window.addEventListener(
    'click',
    (e) => {
      prevented = e.defaultPrevented
      e.preventDefault()
    },
    { once: true },
  )
  const e = new MouseEvent('click', { bubbles: true, cancelable: true, button: 0, ...init })
  document.querySelector('a')!.dispatchEvent(e)
  return prevented
}

describe('router', () => {
  it('follows a plain click without loading the page', () => {
    expect(taken('<a href="/settings/teams"><b>x</b></a>')).toBe(true)
    expect(router.current).toEqual({ name: 'settings', page: 'teams' })
    expect(location.pathname).toBe('/settings/teams')
  })

  it('leaves to the browser what is not ours', () => {
    expect(taken('<a href="/inbox/all">x</a>', { ctrlKey: true })).toBe(false)
    expect(taken('<a href="/inbox/all" target="_blank">x</a>')).toBe(false)
    expect(taken('<a href="/api/attachments/7" >x</a>')).toBe(false)
    expect(taken('<a href="/x" download>x</a>')).toBe(false)
    expect(router.current).toEqual({ name: 'inbox', view: 'mine' })
  })

  it('stays where a guard says no, and goes when forced', () => {
    const release = router.guard(() => false)
    router.go('/settings/teams')
    expect(router.current.name).toBe('inbox')
    router.go('/settings/teams', { force: true })
    expect(router.current.name).toBe('settings')
    router.go('/inbox/all')
    expect(router.current.name).toBe('settings')
    release()
    router.go('/inbox/all')
    expect(router.current.name).toBe('inbox')
  })

  it('replaces without a step back', () => {
    const before = history.length
    router.go({ name: 'settings', page: 'audit' }, { replace: true })
    expect(history.length).toBe(before)
    expect(location.pathname).toBe('/settings/audit')
  })
})
