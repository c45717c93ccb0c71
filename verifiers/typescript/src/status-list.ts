/** Status lists (draft-ietf-oauth-status-list): which tokens have been revoked. */

import { optionalSeconds, requiredSeconds } from './claims.js'
import { Cached } from './cached.js'
import type { Fetched, Source } from './cached.js'
import type { Clock } from './clock.js'
import type { Downloader } from './download.js'
import { VerifyError } from './errors.js'
import { inflate } from './inflate.js'
import { checkHeader, checkSignature, decode, parseJws } from './jws.js'
import { Fraction, text } from './json.js'
import type { Json, JsonObject } from './json.js'
import type { RemoteKeys } from './key-set.js'

/** Longest status list token that is read, and what its list may be when inflated, in bytes. */
const MAX_TOKEN_BYTES = 2 * 1024 * 1024
const MAX_LIST_BYTES = 1024 * 1024

/** Lists that are held at once. */
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

  /** Rejects if `lst` is not what the draft says, or too large. */
  static async unpack(bits: number, lst: string): Promise<StatusList> {
    if (![1, 2, 4, 8].includes(bits)) throw new Error('a status has 1, 2, 4 or 8 bits')
    return new StatusList(
      bits,
      await inflate(decode(lst) as Uint8Array<ArrayBuffer>, MAX_LIST_BYTES),
    )
  }

  /** How many statuses there are, those that only fill the last byte included. */
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

/** What is known of the lists, and what holds for all of them. */
export interface StatusListRules {
  readonly issuer: string
  /** Where the issuer is reached, without a final slash. */
  readonly baseUrl: string
  readonly leewaySeconds: number
}

/** A list that was believed. */
interface BelievedList {
  readonly list: StatusList
  readonly expiresAt: number | undefined
  readonly ttlSeconds: number
}

/** The lists that tokens have named, fetched when they are needed. */
export class RemoteStatusLists {
  /** The one that was asked for longest ago comes first. */
  readonly #lists = new Map<string, Cached<BelievedList>>()

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
    const believed = await cached.get()
    if (believed) return believed.list
    throw new VerifyError('status_unavailable', 'there is no status list that may be used', {
      cause: cached.lastError,
    })
  }

  #cached(uri: string): Cached<BelievedList> {
    let cached = this.#lists.get(uri)
    if (cached) {
      this.#lists.delete(uri) // to come last again
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

  #source(uri: string, url: string): Source<BelievedList> {
    return {
      fetch: (etag) => this.#fetch(uri, url, etag),
      hasExpired: ({ expiresAt }) => expiresAt !== undefined && this.#hasPassed(expiresAt),
      outlivesFailures: ({ expiresAt }) => expiresAt !== undefined,
      retryPauseMs: () => RETRY_PAUSE_MS,
      failed: (error) => {
        this.onFailure(error, url)
      },
    }
  }

  async #fetch(uri: string, url: string, etag: string | undefined): Promise<Fetched<BelievedList>> {
    const accept = 'application/statuslist+jwt'
    const answer = await this.downloader.get({ url, accept, etag, maxBytes: MAX_TOKEN_BYTES })
    const newEtag = answer.headers.get('etag') ?? undefined
    if (answer.status === 304) return { value: undefined, freshMs: undefined, etag: newEtag }
    const value = await this.#believe(uri, ascii(answer.body))
    return { value, freshMs: value.ttlSeconds * 1000, etag: newEtag }
  }

  /** Rejects if the token is not a list of this issuer for this `uri`. */
  async #believe(uri: string, compact: string): Promise<BelievedList> {
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
    if (claims.get('sub') !== uri) throw new Error('the status list is another one')
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

/** The draft lets `ttl` be a fraction. Whatever it is, a list is worth asking for each day. */
function bounded(ttl: Json | undefined): number {
  const seconds = ttl instanceof Fraction ? ttl.value : ttl
  if (typeof seconds !== 'number' || !(seconds > 0)) throw new Error('ttl is not a number above 0')
  return Math.min(seconds, LONGEST_TTL_SECONDS)
}

/** A byte order mark stays, and is refused as what it is there: no base64url. */
function ascii(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
