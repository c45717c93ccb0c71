/**
 * Verifies each case of a file, for `tests/verifiers` to compare the results.
 *
 * The first line of the file `CASES_FILE` has the members that all cases share; each further line
 * is a case. `VERDICTS_FILE` gets one line per case: the result in the format of `expect`.
 */

import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { verdictOn } from './cases.js'
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
    const verdict = await verdictOn(shared, JSON.parse(line) as Case)
    verdicts.write(JSON.stringify(verdict) + '\n')
  } else {
    shared = JSON.parse(line) as Shared
  }
}
verdicts.end()
