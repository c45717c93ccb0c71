/** Access tokens with `typ` `JWT`, for audiences that Signet signs such tokens for. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Verifier } from '@signet/verifier'
import { ManualClock, issuer, listToken, outcome, token, verifier } from './harness.js'
import type { Issuer } from './harness.js'

const JWT = { typ: 'JWT' }

const accepting = (from: Issuer): Verifier =>
  verifier(from, new ManualClock(), { acceptTypJwt: true })

test('typ JWT is accepted only if enabled', async () => {
  const from = await issuer()

  for (const acceptTypJwt of [undefined, false]) {
    const checks = verifier(from, new ManualClock(), { acceptTypJwt })
    assert.equal(await outcome(checks.verify(await token({}, JWT))), 'wrong_type')
  }
  assert.deepEqual(from.requests, [])
  assert.equal(await outcome(accepting(from).verify(await token({}, JWT))), 'accepted')
  assert.equal(await outcome(accepting(from).verify(await token())), 'accepted')
})

test('a token with typ JWT can be revoked', async () => {
  const from = await issuer()
  from.serveList(await listToken({}, [7]))

  assert.equal(await outcome(accepting(from).verify(await token({}, JWT))), 'revoked')
})

test('the error names the missing claim', async () => {
  const checks = accepting(await issuer())
  for (const name of ['client_id', 'jti', 'scope']) {
    await assert.rejects(checks.verify(await token({ [name]: undefined }, JWT)), {
      code: 'invalid_claim',
      message: `the claim ${name} is missing or invalid`,
    })
  }
})

test('claims of ID tokens are refused as the wrong type', async () => {
  const checks = accepting(await issuer())
  for (const name of ['nonce', 'at_hash']) {
    const claims = { [name]: 'AAAA' }
    assert.equal(await outcome(checks.verify(await token(claims, JWT))), 'wrong_type')
    assert.equal(await outcome(checks.verify(await token(claims))), 'accepted')
  }
})
