import type { AccessToken } from './access-token.js'
import { checkClaims, checkNoIdToken, statusReference } from './claims.js'
import type { StatusReference } from './claims.js'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import { Downloader } from './download.js'
import type { Fetch } from './download.js'
import { VerifyError, invalidClaim } from './errors.js'
import { checkHeader, checkSignature, parseJws } from './jws.js'
import { KeySetSource, RemoteKeys } from './key-set.js'
import { RemoteStatusLists } from './status-list.js'

/** Maximum size of a token in bytes; Signet's tokens have about one thousand. */
const MAX_TOKEN_BYTES = 8 * 1024

const MAX_LEEWAY_SECONDS = 60

export interface VerifierOptions {
  /** Signet's `SIGNET_ISSUER`, byte for byte, including a trailing slash. */
  readonly issuer: string
  /** The audience of this service, as in `aud`; Signet's `SIGNET_AUDIENCE`. */
  readonly audience: string
  /** The URL at which Signet is reachable, if it differs from the issuer, as inside a cluster. */
  readonly baseUrl?: string | undefined
  /**
   * Also accepts tokens with `typ` `JWT`; by default only `at+jwt` (RFC 9068 §4). Set it for an
   * audience in `SIGNET_TYP_JWT_AUDIENCES`. ID tokens have the same `typ`, so a token with it must
   * have `client_id`, `jti` and `scope`, all strings, and neither `nonce` nor `at_hash` (RFC 8725
   * §3.12). For `at+jwt` the requirements do not change.
   */
  readonly acceptTypJwt?: boolean | undefined
  /** Accepted difference between the clocks in seconds: 30 by default, at most 60. */
  readonly leewaySeconds?: number | undefined
  /** Minimum seconds between two fetches of the key set for unknown keys: 30 by default. */
  readonly cooldownSeconds?: number | undefined
  /**
   * How to treat a token whose status list is unavailable: `refuse` (503) by default. With
   * `accept`, a logout may not take effect while Signet is unreachable.
   */
  readonly whenStatusUnavailable?: 'refuse' | 'accept' | undefined
  /** Timeout of a fetch in milliseconds: 3000 by default. */
  readonly timeoutMs?: number | undefined
  /** Replaces the global `fetch`. */
  readonly fetch?: Fetch | undefined
  /** Replaces the system's clocks. */
  readonly clock?: Clock | undefined
  /**
   * Called for every failed fetch, for your log. Because cached documents stay in use, this may be
   * the only sign that Signet is unreachable.
   */
  readonly onFetchFailure?: ((error: unknown, url: string) => void) | undefined
}

/**
 * Checks access tokens of one issuer for one audience. Create one when the service starts: it
 * caches the keys and the status lists. It fetches nothing before the first token arrives and keeps
 * no timer running. No check can be turned off.
 */
export class Verifier {
  readonly #issuer: string
  readonly #audience: string
  readonly #types: readonly string[]
  readonly #leewaySeconds: number
  readonly #acceptsWithoutStatus: boolean
  readonly #clock: Clock
  readonly #keys: RemoteKeys
  readonly #lists: RemoteStatusLists

  /** @throws {TypeError | RangeError} for invalid settings */
  constructor(options: VerifierOptions) {
    const { issuer, audience, whenStatusUnavailable = 'refuse', clock = systemClock } = options
    const { acceptTypJwt = false } = options
    if (!issuer || !audience) throw new TypeError('issuer and audience must be set')
    if (!['refuse', 'accept'].includes(whenStatusUnavailable)) {
      throw new TypeError('whenStatusUnavailable is refuse or accept')
    }
    if (typeof acceptTypJwt !== 'boolean') throw new TypeError('acceptTypJwt is true or false')
    this.#issuer = issuer
    this.#audience = audience
    this.#types = acceptTypJwt ? ['at+jwt', 'jwt'] : ['at+jwt']
    this.#leewaySeconds = Math.min(
      atLeastZero('leewaySeconds', options.leewaySeconds ?? 30),
      MAX_LEEWAY_SECONDS,
    )
    this.#acceptsWithoutStatus = whenStatusUnavailable === 'accept'
    this.#clock = clock

    const baseUrl = (options.baseUrl ?? issuer).replace(/\/$/, '')
    const keySetUrl = new URL(`${baseUrl}/.well-known/jwks.json`).href
    // Looks up the global `fetch` at each call, so that a later patch of it is used.
    const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init))
    const downloader = new Downloader(fetch, atLeastZero('timeoutMs', options.timeoutMs ?? 3000))
    const onFailure = ignoringErrors(options.onFetchFailure)
    const coolDownMs = atLeastZero('cooldownSeconds', options.cooldownSeconds ?? 30) * 1000
    const keySet = new KeySetSource(keySetUrl, downloader, onFailure)
    this.#keys = new RemoteKeys(keySet, clock, coolDownMs)
    const rules = { issuer, baseUrl, leewaySeconds: this.#leewaySeconds }
    this.#lists = new RemoteStatusLists(rules, this.#keys, downloader, clock, onFailure)
  }

  /**
   * Checks `token`: its syntax, its header, its signature, with `typ` `JWT` that it is not an ID
   * token, its claims, and its status, in this order.
   * @throws {VerifyError} (rejects) if it is not accepted; see {@link VerifyErrorCode}
   */
  async verify(token: string): Promise<AccessToken> {
    const jws = parseJws(token, MAX_TOKEN_BYTES)
    const type = checkHeader(jws.header, this.#types)
    await checkSignature(jws, await this.#keys.find(jws.kid))
    if (type === 'jwt') checkNoIdToken(jws.payload)
    const accessToken = checkClaims(jws.payload, {
      issuer: this.#issuer,
      audience: this.#audience,
      leewaySeconds: this.#leewaySeconds,
      now: this.#clock.unixSeconds(),
    })
    const status = statusReference(jws.payload, this.#issuer)
    if (status) await this.#checkStatus(status)
    return accessToken
  }

  async #checkStatus({ index, uri }: StatusReference): Promise<void> {
    switch (await this.#status(index, uri)) {
      case 0:
        return
      case undefined:
        throw invalidClaim('status')
      case 2:
        throw new VerifyError('suspended', 'the token is suspended')
      default:
        throw new VerifyError('revoked', 'the token has been revoked')
    }
  }

  /** The status at `index`; `undefined` beyond the end of the list. */
  async #status(index: number, uri: string): Promise<number | undefined> {
    try {
      return (await this.#lists.find(uri)).at(index)
    } catch (error) {
      if (this.#acceptsWithoutStatus && error instanceof VerifyError) return 0
      throw error
    }
  }
}

function atLeastZero(name: string, value: number): number {
  if (!(value >= 0) || value === Infinity) throw new RangeError(`${name} is not a number from 0 on`)
  return value
}

/** Wraps a listener so that its exceptions do not affect the verification. */
function ignoringErrors(
  listener: VerifierOptions['onFetchFailure'],
): (error: unknown, url: string) => void {
  return (error, url) => {
    try {
      listener?.(error, url)
    } catch {
      // Errors of the listener are ignored.
    }
  }
}
