// Prints what a browser downloads at the first paint and fails when the main bundle outgrows its budget.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const budget = 250 * 1024
const dist = new URL('../dist/', import.meta.url).pathname
const html = readFileSync(join(dist, 'index.html'), 'utf8')
const first = new Set([...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((m) => m[1]))

let main = 0
const rows = readdirSync(join(dist, 'assets'))
  .filter((name) => /\.(js|css)$/.test(name))
  .map((name) => {
    const plain = readFileSync(join(dist, 'assets', name))
    const size = gzipSync(plain, { level: 9 }).length
    const isFirst = first.has(`assets/${name}`)
    if (isFirst) main += size
    return { name, plain: plain.length, size, isFirst }
  })
  .sort((a, b) => Number(b.isFirst) - Number(a.isFirst) || b.size - a.size)

const kb = (n) => (n / 1024).toFixed(1).padStart(8) + ' kB'
for (const r of rows)
  console.log(`${r.isFirst ? 'first' : 'lazy '} ${kb(r.plain)} ${kb(r.size)} gz  ${r.name}`)
console.log(`main bundle ${kb(main)} gzip of ${kb(budget)}`)
if (main > budget) {
  console.error('the main bundle is over its budget')
  process.exit(1)
}
