/** The package runs on every platform with `fetch`, and has one dependency. */

import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'

const root = new URL('../', import.meta.url)
const modules = readdirSync(new URL('dist/', root)).filter((name) => name.endsWith('.js'))
const source = (name: string): string => readFileSync(new URL(`dist/${name}`, root), 'utf8')

test('modules import only jose and use no Node globals', () => {
  assert.ok(modules.includes('verifier.js') && modules.includes('hono.js'))
  for (const name of modules) {
    const imports = [...source(name).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
      ([, from]) => from ?? '',
    )
    const unexpected = imports.filter((from) => !from.startsWith('./') && from !== 'jose')
    assert.deepEqual(unexpected, [], name)
    assert.doesNotMatch(source(name), /\b(?:process|Buffer|require|__dirname)\b\s*[.(]/, name)
  }
})

test('jose is the only runtime dependency', () => {
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    dependencies: object
    peerDependencies: object
    peerDependenciesMeta: Record<string, { optional: boolean }>
  }
  assert.deepEqual(Object.keys(manifest.dependencies), ['jose'])
  for (const peer of Object.keys(manifest.peerDependencies)) {
    assert.equal(manifest.peerDependenciesMeta[peer]?.optional, true, peer)
  }
})
