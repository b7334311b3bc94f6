import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vitest/config'
import { precompress } from './scripts/precompress.ts'

const backend = process.env.PARLEY_DEV_BACKEND ?? 'http://127.0.0.1:8080'
const proxied = { target: backend, changeOrigin: false }

export default defineConfig({
  plugins: [tailwindcss(), svelte(), precompress()],
  resolve: {
    alias: { $lib: fileURLToPath(new URL('./src/lib', import.meta.url)) },
    // Without this, tests would mount Svelte's server build.
    ...(process.env.VITEST ? { conditions: ['browser'] } : {}),
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // CSP: fonts and scripts come from 'self', never from data:
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What every screen stands on changes seldom: it stays in browsers' caches across releases.
          groups: [{ name: 'vendor', test: /node_modules[\\/](?!@lucide|@fontsource)/ }],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api/live': { ...proxied, ws: true },
      '/api': proxied,
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test-setup.ts'],
    restoreMocks: true,
  },
})
