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

/** A Node request, as far as its `Authorization` fields are concerned. */
export interface NodeFields {
  readonly headers: { readonly authorization?: string | undefined }
  /** Names and values in turn. */
  readonly rawHeaders?: readonly string[] | undefined
}

/**
 * The value of the `Authorization` field of a Node request. Several fields are combined with a
 * comma (RFC 9110 §5.3): `headers` has only the first, and a proxy may have checked another one.
 */
export function authorizationOf({ headers, rawHeaders = [] }: NodeFields): string | undefined {
  const values = rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization',
  )
  return values.length > 1 ? values.join(', ') : headers.authorization
}

/**
 * The token of an `Authorization: Bearer` header (RFC 6750 §2.1), or `undefined` if there is none.
 * Tokens in URLs are not read, because URLs are logged.
 */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +([^ ].*)$/is.exec(trim(authorization ?? ''))?.[1]
}

/** `String.trim` would also remove characters that are not white space in a field value. */
function trim(value: string): string {
  const isBlank = (character: string | undefined) => character === ' ' || character === '\t'
  let [start, end] = [0, value.length]
  while (start < end && isBlank(value[start])) start++
  while (end > start && isBlank(value[end - 1])) end--
  return value.slice(start, end)
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
