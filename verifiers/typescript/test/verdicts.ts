/**
 * Says of each case of a file what becomes of it, for `tests/verifiers` to compare.
 *
 * The file `CASES_FILE` has what the cases share in its first line, and a case in each other line.
 * `VERDICTS_FILE` gets a line for each case: what `expect` would have to be.
 */

import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { found } from './cases.js'
import type { Case, Shared } from './cases.js'

function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const verdicts = createWriteStream(setting('VERDICTS_FILE'))
let shared: Shared | undefined
for await (const line of createInterface(createReadStream(setting('CASES_FILE')))) {
  if (shared) {
    const verdict = await found(shared, JSON.parse(line) as Case)
    verdicts.write(JSON.stringify(verdict) + '\n')
  } else {
    shared = JSON.parse(line) as Shared
  }
}
verdicts.end()
