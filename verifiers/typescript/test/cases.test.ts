/** Every case that all the verifiers share: verifiers/vectors/README.md. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { StatusList as IndependentList } from '@sd-jwt/jwt-status-list'
import type { BitsPerStatus } from '@sd-jwt/jwt-status-list'
import { StatusList, Verifier, VerifyError } from '@signet/verifier'

interface Case {
  name: string
  token: string
  status_lists?: Record<string, string | null>
  now?: number
  jwks?: unknown
  issuer?: string
  audience?: string
  accept_typ_jwt?: boolean
  expect: Record<string, unknown>
}

interface Packed {
  name: string
  bits: number
  lst: string
  size: number
  statuses: Record<string, number>
}

const file = new URL('../../vectors/cases.json', import.meta.url)
const family = JSON.parse(readFileSync(file, 'utf8')) as {
  issuer: string
  audience: string
  now: number
  leeway_seconds: number
  jwks: unknown
  cases: Case[]
  lists: Packed[]
}

function verifierOf(one: Case): Verifier {
  const issuer = one.issuer ?? family.issuer
  const keys = 'jwks' in one ? one.jwks : family.jwks
  const now = one.now ?? family.now
  const keySet = `${issuer.replace(/\/+$/, '')}/.well-known/jwks.json`
  return new Verifier({
    issuer,
    audience: one.audience ?? family.audience,
    acceptTypJwt: one.accept_typ_jwt,
    leewaySeconds: family.leeway_seconds,
    clock: { unixSeconds: () => now, monotonicMs: () => 0 },
    fetch: (url) => {
      if (url === keySet) {
        return Promise.resolve(new Response(typeof keys === 'string' ? keys : JSON.stringify(keys)))
      }
      const list = one.status_lists?.[url]
      const headers = { 'Content-Type': 'application/statuslist+jwt' }
      return Promise.resolve(
        list ? new Response(list, { headers }) : new Response('', { status: 404 }),
      )
    },
  })
}

async function found(one: Case): Promise<Record<string, unknown>> {
  try {
    const token = await verifierOf(one).verify(one.token)
    return {
      subject: token.subject,
      user_id: token.userId ?? null,
      client_id: token.clientId,
      session_id: token.sessionId ?? null,
      scope: token.scope,
      email: token.email ?? null,
      token_id: token.tokenId,
      issued_at: token.issuedAt,
      expires_at: token.expiresAt,
      auth_time: token.authTime ?? null,
    }
  } catch (error) {
    if (error instanceof VerifyError) return { error: error.code }
    throw error
  }
}

test('every case of the family comes out as it says', async (t) => {
  assert.ok(family.cases.length > 500)
  for (const one of family.cases) {
    await t.test(one.name, async () => {
      const expected =
        one.expect['error'] === undefined ? one.expect : { error: one.expect['error'] }
      assert.deepEqual(await found(one), expected)
    })
  }
})

test('every list of the draft is unpacked as the draft and @sd-jwt/jwt-status-list have it', async (t) => {
  assert.equal(family.lists.length, 6)
  for (const { name, bits, lst, size, statuses } of family.lists) {
    await t.test(name, async () => {
      const list = await StatusList.unpack(bits, lst)
      const independent = IndependentList.decompressStatusList(lst, bits as BitsPerStatus)
      assert.ok(list.size >= size)
      const wrong: unknown[] = []
      for (let index = 0; index < size; index++) {
        const [ours, theirs] = [list.at(index), independent.getStatus(index)]
        if (ours !== (statuses[index] ?? 0) || ours !== theirs) wrong.push({ index, ours, theirs })
      }
      assert.deepEqual(wrong, [])
      assert.equal(list.at(list.size), undefined)
    })
  }
})
