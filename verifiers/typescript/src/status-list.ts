/** Status lists (draft-ietf-oauth-status-list): which tokens have been revoked. */

import { optionalSeconds, requiredSeconds } from './claims.js'
import { Cached } from './cached.js'
import type { Fetched, Source } from './cached.js'
import type { Clock } from './clock.js'
import type { Downloader } from './download.js'
import { VerifyError } from './errors.js'
import { inflate } from './inflate.js'
import { checkHeader, checkSignature, decode, parseJws } from './jws.js'
import { OtherNumber, text } from './json.js'
import type { Json, JsonObject } from './json.js'
import type { RemoteKeys } from './key-set.js'

/** Maximum size in bytes of a status list token, and of its inflated list. */
const MAX_TOKEN_BYTES = 2 * 1024 * 1024
const MAX_LIST_BYTES = 1024 * 1024

/** Maximum number of cached lists. */
const MAX_LISTS = 64

const DEFAULT_TTL_SECONDS = 300
const LONGEST_TTL_SECONDS = 86_400
const RETRY_PAUSE_MS = 5_000

/** Statuses packed into bytes, the lowest bits first; `bits` is 1, 2, 4 or 8. */
export class StatusList {
  private constructor(
    private readonly bits: number,
    private readonly bytes: Uint8Array,
  ) {}

  /** Rejects if `lst` does not conform to the draft, or is too large. */
  static async unpack(bits: number, lst: string): Promise<StatusList> {
    if (![1, 2, 4, 8].includes(bits)) throw new Error('a status has 1, 2, 4 or 8 bits')
    return new StatusList(
      bits,
      await inflate(decode(lst) as Uint8Array<ArrayBuffer>, MAX_LIST_BYTES),
    )
  }

  /** The number of statuses, including those that pad the last byte. */
  get size(): number {
    return this.bytes.length * (8 / this.bits)
  }

  /** The status at `index`; `undefined` beyond the end. */
  at(index: number): number | undefined {
    const perByte = 8 / this.bits
    const byte = this.bytes[Math.floor(index / perByte)]
    return byte === undefined
      ? undefined
      : (byte >> ((index % perByte) * this.bits)) & ((1 << this.bits) - 1)
  }
}

/** The settings for all lists. */
export interface StatusListRules {
  readonly issuer: string
  /** The URL at which Signet is reachable, without a trailing slash. */
  readonly baseUrl: string
  readonly leewaySeconds: number
}

/** A list whose signature and claims were verified. */
interface VerifiedList {
  readonly list: StatusList
  readonly expiresAt: number | undefined
  readonly ttlSeconds: number
}

/** The lists that tokens reference, fetched when needed. */
export class RemoteStatusLists {
  /** The least recently used list comes first. */
  readonly #lists = new Map<string, Cached<VerifiedList>>()

  constructor(
    private readonly rules: StatusListRules,
    private readonly keys: RemoteKeys,
    private readonly downloader: Downloader,
    private readonly clock: Clock,
    private readonly onFailure: (error: unknown, url: string) => void,
  ) {}

  /** Rejects with `status_unavailable`. */
  async find(uri: string): Promise<StatusList> {
    const cached = this.#cached(uri)
    const verified = await cached.get()
    if (verified) return verified.list
    throw new VerifyError('status_unavailable', 'there is no status list that may be used', {
      cause: cached.lastError,
    })
  }

  #cached(uri: string): Cached<VerifiedList> {
    let cached = this.#lists.get(uri)
    if (cached) {
      this.#lists.delete(uri) // moves to the end
    } else {
      const url = this.rules.baseUrl + uri.slice(this.rules.issuer.length)
      cached = new Cached(this.#source(uri, url), this.clock)
    }
    this.#lists.set(uri, cached)
    if (this.#lists.size > MAX_LISTS) {
      for (const oldest of this.#lists.keys()) {
        this.#lists.delete(oldest)
        break
      }
    }
    return cached
  }

  #source(uri: string, url: string): Source<VerifiedList> {
    return {
      fetch: (etag) => this.#fetch(uri, url, etag),
      hasExpired: ({ expiresAt }) => expiresAt !== undefined && this.#hasPassed(expiresAt),
      usableWhenStale: ({ expiresAt }) => expiresAt !== undefined,
      retryPauseMs: () => RETRY_PAUSE_MS,
      failed: (error) => {
        this.onFailure(error, url)
      },
    }
  }

  async #fetch(uri: string, url: string, etag: string | undefined): Promise<Fetched<VerifiedList>> {
    const accept = 'application/statuslist+jwt'
    const answer = await this.downloader.get({ url, accept, etag, maxBytes: MAX_TOKEN_BYTES })
    const newEtag = answer.headers.get('etag') ?? undefined
    if (answer.status === 304) return { value: undefined, freshMs: undefined, etag: newEtag }
    const value = await this.#verifyList(uri, ascii(answer.body))
    return { value, freshMs: value.ttlSeconds * 1000, etag: newEtag }
  }

  /** Rejects if the token is not a list of this issuer for this `uri`. */
  async #verifyList(uri: string, compact: string): Promise<VerifiedList> {
    const jws = parseJws(compact, MAX_TOKEN_BYTES)
    checkHeader(jws.header, ['statuslist+jwt'])
    await checkSignature(jws, await this.keys.find(jws.kid))
    const claims = jws.payload
    const expiresAt = optionalSeconds(claims, 'exp')
    this.#checkClaims(claims, uri, expiresAt)
    const ttlSeconds = claims.has('ttl') ? bounded(claims.get('ttl')) : DEFAULT_TTL_SECONDS
    const packed = claims.get('status_list')
    const bits = packed instanceof Map ? packed.get('bits') : undefined
    const lst = packed instanceof Map ? text(packed, 'lst') : undefined
    if (typeof bits !== 'number' || lst === undefined) throw new Error('there is no status_list')
    return { list: await StatusList.unpack(bits, lst), expiresAt, ttlSeconds }
  }

  #checkClaims(claims: JsonObject, uri: string, expiresAt: number | undefined): void {
    if (claims.get('sub') !== uri) throw new Error('the status list has another sub')
    if (claims.has('iss') && claims.get('iss') !== this.rules.issuer) {
      throw new Error('the status list is from another issuer')
    }
    const latestStart = this.clock.unixSeconds() + this.rules.leewaySeconds
    if (requiredSeconds(claims, 'iat') > latestStart)
      throw new Error('the status list is not valid yet')
    if (expiresAt !== undefined && this.#hasPassed(expiresAt)) {
      throw new Error('the status list has expired')
    }
  }

  #hasPassed(expiresAt: number): boolean {
    return this.clock.unixSeconds() >= expiresAt + this.rules.leewaySeconds
  }
}

/** The draft allows fractions for `ttl`. A list is fetched again after a day at the latest. */
function bounded(ttl: Json | undefined): number {
  const seconds = ttl instanceof OtherNumber ? ttl.value : ttl
  if (typeof seconds !== 'number' || !(seconds > 0)) throw new Error('ttl is not a number above 0')
  return Math.min(seconds, LONGEST_TTL_SECONDS)
}

/** A byte order mark is preserved, so that it is refused as invalid base64url. */
function ascii(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
