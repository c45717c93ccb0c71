/** What the middleware of every framework does, without a framework. */

import type { AccessToken } from './access-token.js'
import { VerifyError } from './errors.js'
import { Refusal, checkScopes } from './refusal.js'
import type { Verifier } from './verifier.js'

export interface GuardOptions<R = unknown> {
  /** Scopes that the token must have, all of them. */
  readonly scopes?: readonly string[] | undefined
  /** Told of every request that is not served: for your log. `cause` says which check failed. */
  readonly onRefusal?: ((refusal: Refusal, request: R) => void) | undefined
}

/**
 * The token of an `Authorization: Bearer` header (RFC 6750 §2.1); `undefined` if it is none. Tokens
 * are read from nowhere else: addresses end up in logs.
 */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(authorization ?? '')?.[1]?.trimEnd()
}

/**
 * Checks the token of an `Authorization` header.
 * @throws {Refusal} (rejects) with the answer to be sent
 */
export async function authorize(
  verifier: Pick<Verifier, 'verify'>,
  authorization: string | null | undefined,
  scopes: readonly string[] = [],
): Promise<AccessToken> {
  checkScopes(scopes)
  const bearer = bearerToken(authorization)
  if (bearer === undefined) throw Refusal.noToken()
  let token
  try {
    token = await verifier.verify(bearer)
  } catch (error) {
    throw error instanceof VerifyError ? Refusal.of(error) : error
  }
  token.requireScopes(...scopes)
  return token
}

/** The tokens of the requests under way; nothing is put on a request, where names may collide. */
const tokens = new WeakMap<object, AccessToken>()

export function remember(request: object, token: AccessToken): void {
  tokens.set(request, token)
}

/**
 * The token of a request that went through `authenticate`.
 * @throws {Error} if it did not: a route without a guard must not be served by accident
 */
export function accessToken(request: object): AccessToken {
  const token = tokens.get(request)
  if (!token) throw new Error('authenticate() has not run before this')
  return token
}

/** Lets the token's user alone pass; `userId` is the path's, and nobody's if it is no string. */
export function checkUser(request: object, userId: unknown): void {
  const token = accessToken(request)
  if (typeof userId !== 'string') throw Refusal.forbidden()
  token.requireUser(userId)
}
