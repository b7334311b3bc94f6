/** The place in the application and the ways to change it; routes.ts knows the addresses. */
import { defaultView, href, parse, type Route } from './routes'

export * from './routes'

export class Router {
  current = $state.raw<Route>({ name: 'inbox', view: defaultView })
  /** Asked before the place changes; false keeps it (a form with typed text). */
  #guards = new Set<(to: Route) => boolean>()
  #position = 0

  /** Follows the address bar and plain clicks on links until the returned function is called. */
  start(): () => void {
    this.#position = (history.state as { n?: number } | null)?.n ?? 0
    history.replaceState({ n: this.#position }, '')
    this.current = parse(location.pathname, location.search)
    const onPop = (e: PopStateEvent) => {
      const to = parse(location.pathname, location.search)
      const n = (e.state as { n?: number } | null)?.n ?? 0
      if (!this.#allowed(to)) {
        // The browser has moved already: go back by as much as it went.
        const delta = this.#position - n
        if (delta !== 0) history.go(delta)
        return
      }
      this.#position = n
      if (!same(to, this.current)) this.current = to
    }
    const onClick = (e: MouseEvent) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
      const a = (e.target as Element | null)?.closest('a')
      if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin) return
      if (/^\/(api|hooks|forms)\//.test(a.pathname)) return
      e.preventDefault()
      this.go(a.pathname + a.search)
    }
    addEventListener('popstate', onPop)
    document.addEventListener('click', onClick)
    return () => {
      removeEventListener('popstate', onPop)
      document.removeEventListener('click', onClick)
    }
  }

  go(to: Route | string, how: { replace?: boolean; force?: boolean } = {}): void {
    const url = typeof to === 'string' ? to : href(to)
    const [path, search] = splitOnce(url, '?')
    const route = typeof to === 'string' ? parse(path, search) : to
    if (!how.force && !this.#allowed(route)) return
    if (url !== location.pathname + location.search) {
      if (how.replace) history.replaceState({ n: this.#position }, '', url)
      else history.pushState({ n: ++this.#position }, '', url)
    }
    this.current = route
  }

  /** Returns the function that takes the guard away. */
  guard(ask: (to: Route) => boolean): () => void {
    this.#guards.add(ask)
    return () => this.#guards.delete(ask)
  }

  #allowed(to: Route): boolean {
    for (const ask of this.#guards) if (!ask(to)) return false
    return true
  }
}

function same(a: Route, b: Route): boolean {
  return href(a) === href(b)
}

function splitOnce(s: string, by: string): [string, string] {
  const i = s.indexOf(by)
  return i < 0 ? [s, ''] : [s.slice(0, i), s.slice(i)]
}

export const router = new Router()
