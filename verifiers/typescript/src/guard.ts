/** The parts of the middleware that do not depend on a framework. */

import type { AccessToken } from './access-token.js'
import { VerifyError } from './errors.js'
import { Refusal, checkScopes } from './refusal.js'
import type { Verifier } from './verifier.js'

export interface GuardOptions<R = unknown> {
  /** Scopes that the token must have. */
  readonly scopes?: readonly string[] | undefined
  /** Called for every refused request, for your log. `cause` has the failed check. */
  readonly onRefusal?: ((refusal: Refusal, request: R) => void) | undefined
}

/**
 * The token of an `Authorization: Bearer` header (RFC 6750 §2.1), or `undefined` if there is none.
 * Tokens in URLs are not read, because URLs are logged.
 */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(authorization ?? '')?.[1]?.trimEnd()
}

/**
 * Checks the token of an `Authorization` header.
 * @throws {Refusal} (rejects) with the response to send
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

/** The tokens of requests in progress; a property of the request could collide with other names. */
const tokens = new WeakMap<object, AccessToken>()

export function remember(request: object, token: AccessToken): void {
  tokens.set(request, token)
}

/**
 * The token of a request that went through `authenticate`.
 * @throws {Error} if it did not, so that an unprotected route is not served by accident
 */
export function accessToken(request: object): AccessToken {
  const token = tokens.get(request)
  if (!token) throw new Error('authenticate() has not run before this')
  return token
}

/** Requires a token of the user `userId`, the parameter of the path. */
export function checkUser(request: object, userId: unknown): void {
  const token = accessToken(request)
  if (typeof userId !== 'string') throw Refusal.forbidden()
  token.requireUser(userId)
}
