// Checks the access tokens on standard input, one a line, and says of each what a service would make of it:
// `accepted`, or why not. It keeps keys and lists in between, as a service does.
//
//   node verify.mjs PATH_OF_THE_VERIFIER ISSUER AUDIENCE

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
