// The service worker: the application's shell when there is no network, and what comes by Web Push. It never keeps an
// answer of the API: what customers said is on the screen or on the server, nowhere else.
const SHELL = 'parley-shell-1'
const ASSETS = 'parley-assets-1'
const KEPT = 300 // files of the last few releases

self.addEventListener('install', (e) => {
  e.waitUntil(
    caches
      .open(SHELL)
      .then((c) => c.addAll(['/', '/theme.js', '/favicon.svg']))
      .then(() => self.skipWaiting()),
  )
})

self.addEventListener('activate', (e) => {
  e.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(names.filter((n) => n !== SHELL && n !== ASSETS).map((n) => caches.delete(n))),
      )
      .then(() => self.clients.claim()),
  )
})

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url)
  if (e.request.method !== 'GET' || url.origin !== self.location.origin) return
  if (e.request.mode === 'navigate' && !/^\/(api|hooks|forms)\//.test(url.pathname))
    e.respondWith(page(e.request))
  else if (url.pathname.startsWith('/assets/')) e.respondWith(asset(e.request))
  else if (url.pathname === '/theme.js' || url.pathname === '/favicon.svg')
    e.respondWith(shellFile(e.request))
})

/** The newest page; without a network the one that was there last. */
async function page(request) {
  try {
    const answer = await fetch(request)
    if (answer.ok && answer.headers.get('Content-Type')?.startsWith('text/html'))
      await (await caches.open(SHELL)).put('/', answer.clone())
    return answer
  } catch (err) {
    const kept = await caches.match('/')
    if (kept) return kept
    throw err
  }
}

/** A file with its hash in its name never changes. */
async function asset(request) {
  const cache = await caches.open(ASSETS)
  const kept = await cache.match(request)
  if (kept) return kept
  const answer = await fetch(request)
  if (answer.ok) {
    await cache.put(request, answer.clone())
    const all = await cache.keys()
    await Promise.all(all.slice(0, Math.max(0, all.length - KEPT)).map((old) => cache.delete(old)))
  }
  return answer
}

async function shellFile(request) {
  try {
    return await fetch(request)
  } catch (err) {
    const kept = await caches.match(request)
    if (kept) return kept
    throw err
  }
}

const words = {
  en: {
    assigned: (by) => (by ? `${by} gave you this conversation` : 'You were given this conversation'),
    mention: (by) => (by ? `${by} mentioned you` : 'You were mentioned'),
    queue: () => 'New in your team’s queue',
    more: (n) => `${n} new messages`,
  },
  ru: {
    assigned: (by) => (by ? `${by}: разговор передан вам` : 'Вам передан разговор'),
    mention: (by) => (by ? `${by} упоминает вас` : 'Вас упомянули'),
    queue: () => 'Новое в очереди вашей команды',
    more: (n) => `Новых сообщений: ${n}`,
  },
  am: {
    assigned: (by) => (by ? `${by} ይህን ውይይት ሰጥቶዎታል` : 'ይህ ውይይት ተሰጥቶዎታል'),
    mention: (by) => (by ? `${by} ጠቅሶዎታል` : 'ተጠቅሰዋል'),
    queue: () => 'በቡድንዎ ተራ አዲስ ነገር አለ',
    more: (n) => `${n} አዲስ መልእክቶች`,
  },
}

self.addEventListener('push', (e) => {
  let m
  try {
    m = e.data.json()
  } catch {
    return
  }
  e.waitUntil(show(m))
})

async function show(m) {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  // Whoever has the application before his eyes is told there.
  if (windows.some((w) => w.focused && w.visibilityState === 'visible')) return
  const t = words[m.locale] ?? words.en
  const head = m.kind === 'message' ? (m.times > 1 ? t.more(m.times) : '') : t[m.kind]?.(m.actor)
  await self.registration.showNotification(m.title, {
    body: [head, m.text].filter(Boolean).join('\n'),
    tag: `conversation-${m.conversation_id}-${m.kind}`,
    renotify: true,
    icon: '/icon-192.png',
    lang: m.locale,
    data: {
      url: `/inbox/${m.kind === 'mention' ? 'mentions' : m.kind === 'queue' ? 'unassigned' : 'mine'}/${m.conversation_id}`,
    },
  })
}

self.addEventListener('notificationclick', (e) => {
  e.notification.close()
  e.waitUntil(open(e.notification.data?.url ?? '/'))
})

/** In a window that is open already, without loading it anew. */
async function open(url) {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const there = windows.find((w) => w.visibilityState === 'visible') ?? windows[0]
  if (!there) return self.clients.openWindow(url)
  await there.focus()
  there.postMessage({ type: 'go', url })
}
