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

/** Longest token that is looked at, in bytes; Signet's have about one thousand. */
const MAX_TOKEN_BYTES = 8 * 1024

const MAX_LEEWAY_SECONDS = 60

export interface VerifierOptions {
  /** Signet's `SIGNET_ISSUER`, byte for byte: mind a final slash. */
  readonly issuer: string
  /** This service's own name as it stands in `aud`; Signet's `SIGNET_AUDIENCE`. */
  readonly audience: string
  /** Where Signet is reached if not at the issuer, such as under another name inside a cluster. */
  readonly baseUrl?: string | undefined
  /**
   * Accepts tokens with `typ` `JWT` too; only `at+jwt` unless set (RFC 9068 §4). For an audience that
   * Signet was told to sign such tokens for (`SIGNET_TYP_JWT_AUDIENCES`). ID tokens have the same
   * `typ`, so a token that has it must have `client_id`, `jti` and `scope`, all strings, and neither
   * `nonce` nor `at_hash` (RFC 8725 §3.12). Nothing more is asked of `at+jwt`.
   */
  readonly acceptTypJwt?: boolean | undefined
  /** How far the clocks may disagree, in seconds: 30 unless set; more than 60 is cut to 60. */
  readonly leewaySeconds?: number | undefined
  /** Seconds between two fetches of the key set for unknown keys: 30 unless set. */
  readonly cooldownSeconds?: number | undefined
  /**
   * What becomes of a token whose status list cannot be had: `refuse` (503) unless set. With `accept`
   * a logout may not reach you while Signet cannot be reached.
   */
  readonly whenStatusUnavailable?: 'refuse' | 'accept' | undefined
  /** After how long a fetch is given up, in milliseconds: 3000 unless set. */
  readonly timeoutMs?: number | undefined
  /** In place of the global `fetch`. */
  readonly fetch?: Fetch | undefined
  /** In place of the system's clocks. */
  readonly clock?: Clock | undefined
  /**
   * Told of every fetch that fails: for your log. What is held stays in use, so nothing else may
   * show that Signet cannot be reached.
   */
  readonly onFetchFailure?: ((error: unknown, url: string) => void) | undefined
}

/**
 * Checks access tokens of one issuer for one audience. Make one when the service starts and keep it:
 * it holds the keys and the status lists. It fetches nothing before the first token comes, keeps no
 * timer running, and no check can be turned off.
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

  /** @throws {TypeError | RangeError} at settings that cannot be meant */
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
    // The global one is looked up at each call, so that what patches it later is used too.
    const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init))
    const downloader = new Downloader(fetch, atLeastZero('timeoutMs', options.timeoutMs ?? 3000))
    const onFailure = quiet(options.onFetchFailure)
    const coolDownMs = atLeastZero('cooldownSeconds', options.cooldownSeconds ?? 30) * 1000
    const keySet = new KeySetSource(keySetUrl, downloader, onFailure)
    this.#keys = new RemoteKeys(keySet, clock, coolDownMs)
    const rules = { issuer, baseUrl, leewaySeconds: this.#leewaySeconds }
    this.#lists = new RemoteStatusLists(rules, this.#keys, downloader, clock, onFailure)
  }

  /**
   * Checks `token`, in the order that trusts least: its shape, its header, its signature, its claims
   * (with `typ` `JWT` first that it is no ID token), its status.
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

/** A listener that throws must not turn a failed fetch into something worse. */
function quiet(listener: VerifierOptions['onFetchFailure']): (error: unknown, url: string) => void {
  return (error, url) => {
    try {
      listener?.(error, url)
    } catch {
      // Its own affair.
    }
  }
}
