import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Plugin } from 'vite'

const br = promisify(brotliCompress)
const gz = promisify(gzip)

/** Files that shrink; fonts and pictures are compressed already. */
const textual = /\.(html|js|css|svg|json|webmanifest|txt)$/
const worthwhile = 512

/** Writes name.br and name.gz beside each textual file of the build: the server only picks one. */
export function precompress(): Plugin {
  let dir = ''
  return {
    name: 'parley-precompress',
    apply: 'build',
    configResolved(config) {
      dir = resolve(config.root, config.build.outDir)
    },
    async closeBundle() {
      const names = await readdir(dir, { recursive: true })
      for (const name of names) {
        const path = join(dir, name)
        if (!textual.test(name) || !(await stat(path)).isFile()) continue
        const plain = await readFile(path)
        if (plain.length < worthwhile) continue
        await writeFile(path + '.gz', await gz(plain, { level: 9 }))
        await writeFile(path + '.br', await br(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
      }
    },
  }
}
