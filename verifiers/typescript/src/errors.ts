/**
 * Why a token was refused, or could not be judged. See the table in the family's README.
 *
 * - `malformed`: not a compact JWS of at most 8 KiB, or its JSON repeats a name, or has no `kid`
 * - `forbidden_header`: the header has `crit`, `b64`, `jwk`, `jku`, `x5c` or `x5u` (RFC 8725 §3.10)
 * - `unsupported_algorithm`: `alg` is anything but `RS256` (RFC 8725 §3.1)
 * - `wrong_type`: `typ` is not `at+jwt`: an ID token, perhaps (RFC 9068 §4). With `acceptTypJwt` also:
 *   `typ` is `JWT`, and there is a `nonce` or an `at_hash`, as in ID tokens alone
 * - `unknown_key`: the key set has no usable key of this `kid`, newly fetched if that was due
 * - `bad_signature`: altered or forged
 * - `wrong_issuer`, `wrong_audience`: if every token ends here, the settings are wrong
 * - `expired`: the client refreshes
 * - `not_yet_valid`: if fresh tokens end here, the clocks disagree
 * - `invalid_claim`: a claim is missing, of another type or out of range
 * - `revoked`: the session has ended: logged out, or the account is gone
 * - `suspended`: the session is suspended, for now
 * - `keys_unavailable`, `status_unavailable`: nothing is wrong with the token that is known, but
 *   what it is judged by cannot be had. Answer 503, not 401
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
 * A token that was not accepted. The message is for your log, not for the caller. Nothing of the
 * token is repeated in it but a `kid`, cut short and made printable.
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

  /** Whether the token could not be judged, for want of the keys or of a status list. */
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

/** A thumbprint (RFC 7638), which is what Signet's key ids are, has 43 characters. */
const KEY_ID_SHOWN = 64

export function unknownKey(kid: string): VerifyError {
  const shown = kid.slice(0, KEY_ID_SHOWN).replace(/[^!-~]/g, '?')
  return new VerifyError('unknown_key', `the token is signed with an unknown key: ${shown}`)
}
