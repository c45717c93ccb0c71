/**
 * Why a token was refused, or could not be verified. The README of all verifiers has a table.
 *
 * - `malformed`: not a compact JWS of at most 8 KiB, or its JSON has duplicate names or no `kid`
 * - `forbidden_header`: the header has `crit`, `b64`, `jwk`, `jku`, `x5c` or `x5u` (RFC 8725 §3.10)
 * - `unsupported_algorithm`: `alg` is anything but `RS256` (RFC 8725 §3.1)
 * - `wrong_type`: `typ` is not `at+jwt`, for example an ID token (RFC 9068 §4). With `acceptTypJwt`
 *   also: `typ` is `JWT`, and there is a `nonce` or an `at_hash`, which only ID tokens have
 * - `unknown_key`: the key set has no usable key with this `kid`, even after a fetch if one was due
 * - `bad_signature`: the token was altered or forged
 * - `wrong_issuer`, `wrong_audience`: if all tokens are refused with this code, check the settings
 * - `expired`: the client should refresh
 * - `not_yet_valid`: if new tokens are refused with this code, check the clocks
 * - `invalid_claim`: a claim is missing, of a wrong type or out of range
 * - `revoked`: the session has ended, for example by a logout or a deletion of the account
 * - `suspended`: the session is suspended temporarily
 * - `keys_unavailable`, `status_unavailable`: the token cannot be verified, because the key set or
 *   its status list is unavailable. Respond with 503, not 401
 */
export type VerifyErrorCode =
  | 'malformed'
  | 'forbidden_header'
  | 'unsupported_algorithm'
  | 'wrong_type'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'expired'
  | 'not_yet_valid'
  | 'invalid_claim'
  | 'revoked'
  | 'suspended'
  | 'keys_unavailable'
  | 'status_unavailable'

/**
 * A token that was not accepted. The message is for your log, not for the caller. The only part of
 * the token that it contains is the `kid`, shortened and made printable.
 */
export class VerifyError extends Error {
  override readonly name = 'VerifyError'

  constructor(
    readonly code: VerifyErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** Whether the keys or the status list were unavailable. */
  get isUnavailable(): boolean {
    return this.code === 'keys_unavailable' || this.code === 'status_unavailable'
  }
}

export function malformed(): VerifyError {
  return new VerifyError('malformed', 'the token is malformed')
}

export function invalidClaim(name: string): VerifyError {
  return new VerifyError('invalid_claim', `the claim ${name} is missing or invalid`)
}

/** Signet's key ids are thumbprints (RFC 7638) of 43 characters. */
const KEY_ID_SHOWN = 64

export function unknownKey(kid: string): VerifyError {
  const shown = kid.slice(0, KEY_ID_SHOWN).replace(/[^!-~]/g, '?')
  return new VerifyError('unknown_key', `the token is signed with an unknown key: ${shown}`)
}
