// Verifies the access tokens on standard input, one per line. Prints `accepted` or the reason of the rejection.
// Keys and status lists are cached between tokens, as in a service.
//
//   node verify.mjs VERIFIER_PATH ISSUER AUDIENCE

import { createInterface } from 'node:readline'

const [path, issuer, audience] = process.argv.slice(2)
const { Verifier } = await import(path)
const verifier = new Verifier({ issuer, audience })

for await (const token of createInterface({ input: process.stdin })) {
  try {
    await verifier.verify(token.trim())
    console.log('accepted')
  } catch (error) {
    console.log(`refused: ${error.code ?? error.message}`)
  }
}
