/**
 * Compares the cost of the signature alone, jose's `jwtVerify`, and this package with a status
 * check.
 *
 * In each of many short rounds all three run, so that other load of the machine affects all of them
 * equally; the order rotates from round to round. The spread is that of the middle half of the
 * rounds. Run it with `npm run bench`; the goal is at most 1.5 × jose.
 */

import { deflateSync } from 'node:zlib'
import { CompactSign, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { Verifier } from '@signet/verifier'

const ROUNDS = 101
const CHECKS = 200
const GOAL = 1.5

const issuer = 'https://id.example.test'
const audience = 'https://api.example.test'
const uri = `${issuer}/status/1`
const now = Math.floor(Date.now() / 1000)
const user = '0197a1b2-0000-7000-8000-000000000001'

const { publicKey, privateKey } = await generateKeyPair('RS256')
const keySet = JSON.stringify({
  keys: [{ ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256' }],
})

const sign = (payload, typ) =>
  new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'RS256', typ, kid: 'key-1' })
    .sign(privateKey)

const token = await sign(
  {
    iss: issuer,
    sub: user,
    aud: audience,
    exp: now + 86_400,
    iat: now,
    jti: '0197a1b2-0000-7000-8000-00000000000a',
    client_id: 'signet',
    sid: '0197a1b2-0000-7000-8000-00000000000b',
    auth_time: now,
    scope: 'openid tasks:read tasks:write',
    status: { status_list: { idx: 70_000, uri } },
    user_id: user,
    email: 'ada@example.test',
  },
  'at+jwt',
)
const lst = deflateSync(new Uint8Array(128 * 1024)).toString('base64url')
const list = await sign(
  { sub: uri, iat: now, ttl: 86_400, status_list: { bits: 1, lst } },
  'statuslist+jwt',
)

const [header, payload, signature] = token.split('.')
const signed = new TextEncoder().encode(`${header}.${payload}`)
const signatureBytes = Buffer.from(signature, 'base64url')
const options = {
  issuer,
  audience,
  algorithms: ['RS256'],
  typ: 'at+jwt',
  clockTolerance: 30,
  requiredClaims: ['exp', 'iat', 'iss', 'aud', 'sub', 'jti', 'client_id'],
}
const fetch = async (url) =>
  new Response(url === uri ? list : keySet, { headers: { 'Cache-Control': 'max-age=86400' } })
const verifier = new Verifier({ issuer, audience, fetch })

const contenders = {
  webcrypto: () => crypto.subtle.verify('RSASSA-PKCS1-v1_5', publicKey, signatureBytes, signed),
  jose: () => jwtVerify(token, publicKey, options),
  verifier: () => verifier.verify(token),
}
const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]))

async function microseconds(check) {
  const start = performance.now()
  for (let count = 0; count < CHECKS; count++) await check()
  return ((performance.now() - start) * 1000) / CHECKS
}

for (let round = -20; round < ROUNDS; round++) {
  const names = Object.keys(contenders)
  for (let turn = 0; turn < names.length; turn++) {
    const name = names[(turn + round + 21) % names.length]
    const time = await microseconds(contenders[name])
    if (round >= 0) times[name].push(time) // the first rounds are for warming up
  }
}

/** The quantile `part` of `values`. */
const quantile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * part)]
const shown = (values, digits) =>
  [0.5, 0.25, 0.75].map((part) => quantile(values, part).toFixed(digits).padStart(6))
const line = (name, [median, lower, upper]) =>
  `${name.padEnd(15)} median ${median}   ${lower} to ${upper}`

console.log(
  `${ROUNDS} rounds of ${CHECKS} checks, one at a time; µs per check, Node ${process.version}`,
)
for (const [name, values] of Object.entries(times)) console.log(line(name, shown(values, 1)))
const ratios = times.verifier.map((time, round) => time / times.jose[round])
console.log(line('verifier / jose', shown(ratios, 2)), `  (goal: ${GOAL})`)
if (quantile(ratios, 0.5) > GOAL) process.exitCode = 1
