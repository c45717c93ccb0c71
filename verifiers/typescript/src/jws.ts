/** Parsing and checking the compact form of a signed token (RFC 7515 §3.1). */

import { base64url, compactVerify, errors } from 'jose'
import type { CryptoKey } from 'jose'
import { VerifyError, malformed } from './errors.js'
import { parseObject, text } from './json.js'
import type { JsonObject } from './json.js'

/** Header and payload of a well-formed token, not yet verified. `compact` is the whole token. */
export interface Jws {
  readonly compact: string
  readonly kid: string
  readonly header: JsonObject
  readonly payload: JsonObject
}

/**
 * Header parameters that are refused with any value. `crit` and `b64` change how a token is parsed;
 * the others contain a key or its URL.
 */
const FORBIDDEN = ['crit', 'b64', 'jwk', 'jku', 'x5c', 'x5u']

/** Parses a token of at most `maxBytes`; refuses any other text as `malformed`. */
export function parseJws(compact: string, maxBytes: number): Jws {
  if (typeof compact !== 'string' || compact.length > maxBytes) throw malformed()
  const first = compact.indexOf('.')
  const last = compact.lastIndexOf('.')
  if (first === last) throw malformed()
  // A fourth part would leave a dot in the payload, which is not base64url.
  const header = parseObject(decode(compact.slice(0, first)))
  const payload = parseObject(decode(compact.slice(first + 1, last)))
  if (!isBase64url(compact.slice(last + 1)) || !header || !payload) throw malformed()
  const kid = text(header, 'kid')
  if (!kid) throw malformed()
  return { compact, kid, header, payload }
}

/**
 * Checks the header, the only part that is used before the signature is verified. It may name a key
 * of the key set but not contain one. Other parameters are ignored, as RFC 7515 §4 requires.
 *
 * Each of `types` is a media type without `application/`, which a header may omit; case is ignored
 * (RFC 7515 §4.1.9). Returns the type of the header.
 */
export function checkHeader(header: JsonObject, types: readonly string[]): string {
  const forbidden = FORBIDDEN.find((name) => header.has(name))
  if (forbidden) {
    throw new VerifyError('forbidden_header', `the token's header has the parameter ${forbidden}`)
  }
  if (header.get('alg') !== 'RS256') {
    throw new VerifyError('unsupported_algorithm', 'the token is not signed with RS256')
  }
  const typ = asciiLowerCase(text(header, 'typ') ?? '')
  const found = types.find((type) => typ === type || typ === `application/${type}`)
  if (!found) throw new VerifyError('wrong_type', `the token's type is not ${types.join(' or ')}`)
  return found
}

/** RSASSA-PKCS1-v1_5 with SHA-256, regardless of the token's `alg` (RFC 8725 §3.1). */
export async function checkSignature(jws: Jws, key: CryptoKey): Promise<void> {
  try {
    await compactVerify(jws.compact, key, { algorithms: ['RS256'] })
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    throw new VerifyError('bad_signature', "the token's signature is not valid")
  }
}

/** Decodes canonical base64url; throws `malformed` for any other text. */
export function decode(part: string): Uint8Array {
  if (!isBase64url(part)) throw malformed()
  return base64url.decode(part)
}

/**
 * Whether this is canonical base64url: no padding, no white space, no spare bits in the last
 * character (RFC 7515 §2, RFC 4648 §3.5).
 */
export function isBase64url(part: string): boolean {
  if (/[^A-Za-z0-9_-]/.test(part)) return false
  switch (part.length % 4) {
    case 2:
      return /[AQgw]$/.test(part)
    case 3:
      return /[AEIMQUYcgkosw048]$/.test(part)
    default:
      return part.length % 4 === 0
  }
}

/** `toLowerCase` would also turn the Kelvin sign into a k. */
function asciiLowerCase(value: string): string {
  return value.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
