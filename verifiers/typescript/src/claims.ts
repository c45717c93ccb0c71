/**
 * The claims of an access token (RFC 9068 §2.2), checked after the signature. A claim of a wrong
 * type is never converted: the token is refused. `null` does not count as absent.
 */

import { AccessToken } from './access-token.js'
import { VerifyError, invalidClaim } from './errors.js'
import type { Json, JsonObject } from './json.js'

/** The expected claims, and the current time in seconds since the Unix epoch. */
export interface Expectations {
  readonly issuer: string
  readonly audience: string
  readonly leewaySeconds: number
  readonly now: number
}

/** The location of a token's status: `index` in the list at `uri`. */
export interface StatusReference {
  readonly index: number
  readonly uri: string
}

/**
 * Times and indexes from this limit on are refused. Below it, all languages represent whole numbers exactly.
 */
const INTEGER_LIMIT = 2 ** 53

/** Checks all claims except the status. */
export function checkClaims(claims: JsonObject, expected: Expectations): AccessToken {
  checkParties(claims, expected)
  checkTimes(claims, expected)
  const subject = requiredText(claims, 'sub')
  const userId = optionalText(claims, 'user_id')
  if (userId !== undefined && userId !== subject) throw invalidClaim('user_id')
  return new AccessToken({
    subject,
    userId,
    email: optionalText(claims, 'email'),
    clientId: requiredText(claims, 'client_id'),
    sessionId: optionalText(claims, 'sid'),
    scope: optionalText(claims, 'scope') ?? '',
    tokenId: requiredText(claims, 'jti'),
    issuedAt: requiredSeconds(claims, 'iat'),
    expiresAt: requiredSeconds(claims, 'exp'),
    authTime: optionalSeconds(claims, 'auth_time'),
  })
}

/**
 * Distinguishes an access token from an ID token by its claims, if `typ` does not (RFC 8725 §3.12).
 * Signet's ID tokens lack `client_id`, `jti` and `scope`, and have `at_hash` and usually `nonce`
 * (OpenID Connect Core §2, §3.1.3.6).
 */
export function checkNoIdToken(claims: JsonObject): void {
  const ofIdTokens = ['nonce', 'at_hash'].find((name) => claims.has(name))
  if (ofIdTokens) {
    throw new VerifyError('wrong_type', `the token has ${ofIdTokens}, as ID tokens have`)
  }
  for (const name of ['client_id', 'jti', 'scope']) {
    if (optionalText(claims, name) === undefined) throw invalidClaim(name)
  }
}

/** Reads `status`; `undefined` if it is absent. Only lists of the issuer are accepted. */
export function statusReference(claims: JsonObject, issuer: string): StatusReference | undefined {
  const status = claims.get('status')
  if (status === undefined) return undefined
  const list = status instanceof Map ? status.get('status_list') : undefined
  if (!(list instanceof Map)) throw invalidClaim('status')
  const index: Json | undefined = list.get('idx')
  const uri: Json | undefined = list.get('uri')
  if (!isWhole(index) || typeof uri !== 'string' || !uri.startsWith(`${issuer}/`)) {
    throw invalidClaim('status')
  }
  return { index, uri }
}

/** A `NumericDate` that may be absent, in whole seconds from 0 to below 2^53. */
export function optionalSeconds(claims: JsonObject, name: string): number | undefined {
  const seconds = claims.get(name)
  if (seconds !== undefined && !isWhole(seconds)) throw invalidClaim(name)
  return seconds
}

/** A required `NumericDate`. */
export function requiredSeconds(claims: JsonObject, name: string): number {
  const seconds = optionalSeconds(claims, name)
  if (seconds === undefined) throw invalidClaim(name)
  return seconds
}

function checkParties(claims: JsonObject, expected: Expectations): void {
  if (requiredText(claims, 'iss') !== expected.issuer) {
    throw new VerifyError('wrong_issuer', 'the token is from another issuer')
  }
  if (!audiences(claims).includes(expected.audience)) {
    throw new VerifyError('wrong_audience', 'the token is for another audience')
  }
}

/** RFC 7519 §4.1.3: a string, or a list of strings. */
function audiences(claims: JsonObject): readonly Json[] {
  const audience = claims.get('aud')
  if (typeof audience === 'string') return [audience]
  if (!Array.isArray(audience) || !audience.every((one) => typeof one === 'string')) {
    throw invalidClaim('aud')
  }
  return audience
}

function checkTimes(claims: JsonObject, { now, leewaySeconds }: Expectations): void {
  if (now >= requiredSeconds(claims, 'exp') + leewaySeconds) {
    throw new VerifyError('expired', 'the token has expired')
  }
  const latestStart = now + leewaySeconds
  const isLater = (start: number) => start > latestStart
  // Checked in this order, because a token is refused for its first error.
  if (isLater(requiredSeconds(claims, 'iat')) || isLater(optionalSeconds(claims, 'nbf') ?? 0)) {
    throw new VerifyError('not_yet_valid', 'the token is not valid yet')
  }
}

function requiredText(claims: JsonObject, name: string): string {
  const value = optionalText(claims, name)
  if (!value) throw invalidClaim(name)
  return value
}

function optionalText(claims: JsonObject, name: string): string | undefined {
  const value = claims.get(name)
  if (value !== undefined && typeof value !== 'string') throw invalidClaim(name)
  return value
}

function isWhole(value: Json | undefined): value is number {
  return typeof value === 'number' && value < INTEGER_LIMIT
}
