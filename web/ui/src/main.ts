import { mount } from 'svelte'
import './app.css'
import App from './app.svelte'
import { i18n } from './lib/i18n/index.svelte'
import { clock } from './lib/i18n/format.svelte'
import { router } from './lib/router.svelte'
import { theme } from './lib/theme.svelte'

theme.start()
clock.start()
router.start()
// The words are one small chunk: nothing is drawn in a language that nobody asked for.
await i18n.start()
mount(App, { target: document.getElementById('app')! })

// The application's shell without a network, and what comes by Web Push. Not while developing: it would keep old files.
if (import.meta.env.PROD && 'serviceWorker' in navigator)
  navigator.serviceWorker.register('/sw.js').catch(() => {}) // a private window may refuse: everything else works
