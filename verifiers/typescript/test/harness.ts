/** An in-memory issuer, a manual clock, and functions that create tokens. */

import { deflateSync } from 'node:zlib'
import { CompactSign, exportJWK, generateKeyPair } from 'jose'
import { Verifier, VerifyError } from '@signet/verifier'
import type { Clock, Fetch, VerifierOptions, VerifyErrorCode } from '@signet/verifier'

export const ISSUER = 'https://id.example.test'
export const AUDIENCE = 'https://api.example.test'
export const NOW = 1_800_000_000
export const USER = '0197a1b2-0000-7000-8000-000000000001'
export const LIST = `${ISSUER}/status/1`
export const KEY_SET = `${ISSUER}/.well-known/jwks.json`

const { publicKey, privateKey } = await generateKeyPair('RS256')
const publicJwk = await exportJWK(publicKey)

export class ManualClock implements Clock {
  constructor(
    private seconds = NOW,
    private ms = 1_000,
  ) {}

  unixSeconds(): number {
    return this.seconds
  }

  monotonicMs(): number {
    return this.ms
  }

  advance(seconds: number): void {
    this.seconds += seconds
    this.ms += seconds * 1000
  }
}

type Answer = () => Response | Promise<Response>

/** An in-memory issuer, which records the requests. */
export class Issuer {
  readonly requests: { url: string; headers: Record<string, string>; signal: AbortSignal }[] = []
  /** The responses by URL; tests may replace them. */
  readonly answers = new Map<string, Answer>()
  /** Delay of each response in milliseconds. */
  delayMs = 0

  readonly fetch: Fetch = async (url, { headers, signal }) => {
    this.requests.push({ url, headers, signal })
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs))
    const answer = this.answers.get(url)
    return answer ? answer() : new Response('none', { status: 404 })
  }

  requestsFor(url: string): number {
    return this.requests.filter((request) => request.url === url).length
  }

  serveKeys(headers: HeadersInit = {}, kids: readonly string[] = ['key-1'], url = KEY_SET): void {
    const body = JSON.stringify({ keys: kids.map(jwk) })
    this.answers.set(url, () => new Response(body, { headers }))
  }

  serveList(list: string, headers: HeadersInit = {}, url = LIST): void {
    this.answers.set(url, () => new Response(list, { headers }))
  }

  failRequests(url: string): void {
    this.answers.set(url, () => {
      throw new TypeError('connection refused')
    })
  }
}

export function jwk(kid: string): object {
  return { ...publicJwk, kid, alg: 'RS256', use: 'sig' }
}

export async function issuer(list: object = {}): Promise<Issuer> {
  const made = new Issuer()
  made.serveKeys()
  made.serveList(await listToken(list))
  return made
}

export function verifier(
  from: Issuer,
  clock: Clock = new ManualClock(),
  options: Partial<VerifierOptions> = {},
): Verifier {
  return new Verifier({ issuer: ISSUER, audience: AUDIENCE, fetch: from.fetch, clock, ...options })
}

export function claims(changes: object = {}): object {
  return {
    iss: ISSUER,
    sub: USER,
    aud: AUDIENCE,
    exp: NOW + 86_400,
    iat: NOW,
    jti: '0197a1b2-0000-7000-8000-00000000000a',
    client_id: 'signet',
    sid: '0197a1b2-0000-7000-8000-00000000000b',
    auth_time: NOW - 60,
    scope: 'openid tasks:read',
    status: { status_list: { idx: 7, uri: LIST } },
    user_id: USER,
    email: 'ada@example.test',
    ...changes,
  }
}

export function token(changes: object = {}, header: object = {}): Promise<string> {
  return sign(claims(changes), { alg: 'RS256', typ: 'at+jwt', kid: 'key-1', ...header })
}

/** A list of 16 one-bit statuses, in which the indexes in `revoked` are 1. */
export function listToken(
  changes: object = {},
  revoked: readonly number[] = [],
  kid = 'key-1',
): Promise<string> {
  const bytes = new Uint8Array(2)
  for (const index of revoked) bytes[index >> 3]! |= 1 << (index & 7)
  const payload = {
    iss: ISSUER,
    sub: LIST,
    iat: NOW,
    exp: NOW + 3600,
    ttl: 60,
    status_list: { bits: 1, lst: deflateSync(bytes).toString('base64url') },
    ...changes,
  }
  return sign(payload, { alg: 'RS256', typ: 'statuslist+jwt', kid })
}

function sign(payload: object, header: object): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader(header as { alg: string })
    .sign(privateKey)
}

/** Returns `accepted` or the code of the refusal; rethrows errors other than `VerifyError`. */
export async function outcome(verifying: Promise<unknown>): Promise<VerifyErrorCode | 'accepted'> {
  try {
    await verifying
    return 'accepted'
  } catch (error) {
    if (error instanceof VerifyError) return error.code
    throw error
  }
}
