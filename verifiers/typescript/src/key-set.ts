/** The issuer's public keys, imported once and found by `kid`. */

import { importJWK } from 'jose'
import type { CryptoKey } from 'jose'
import { Cached } from './cached.js'
import type { Fetched, Source } from './cached.js'
import type { Clock } from './clock.js'
import type { Downloader } from './download.js'
import { VerifyError, unknownKey } from './errors.js'
import { decode, isBase64url } from './jws.js'
import { parseObject, text } from './json.js'
import type { Json, JsonObject } from './json.js'

export type KeySet = ReadonlyMap<string, CryptoKey>

/** Maximum size of a key set in bytes; Signet's key sets have a few thousand. */
const MAX_BYTES = 256 * 1024

/** RFC 7518 §3.3 sets the lower bound; the upper bound limits a signature check to 1 ms. */
const MIN_MODULUS_BITS = 2048
const MAX_MODULUS_BITS = 8192

/** 65537. If any exponent were accepted, `e` = 1 would make forging easy. */
const EXPONENT = 'AQAB'

const DEFAULT_MAX_AGE_SECONDS = 300
const LONGEST_MAX_AGE_SECONDS = 86_400

const RETRY_PAUSE_MS = 5_000
const RETRY_PAUSE_WITHOUT_KEYS_MS = 1_000

/**
 * Reads a JWK set (RFC 7517 §5). Unusable keys are ignored, so that the issuer may add keys of
 * other kinds. The result may be empty.
 *
 * Rejects if the document is not a key set, or if two usable keys have the same `kid`.
 */
export async function parseKeySet(json: Uint8Array): Promise<KeySet> {
  const entries = json.length > MAX_BYTES ? undefined : parseObject(json)?.get('keys')
  if (!Array.isArray(entries)) throw new Error('the key set is malformed')
  const keys = new Map<string, CryptoKey>()
  for (const entry of entries as readonly Json[]) {
    const jwk = entry instanceof Map ? usable(entry) : undefined
    const key = jwk && (await importKey(jwk.n))
    if (!key) continue
    if (keys.has(jwk.kid)) throw new Error('two keys of the set have the same id')
    keys.set(jwk.kid, key)
  }
  return keys
}

/** The published keys, fetched when needed. */
export class RemoteKeys {
  readonly #keys: Cached<KeySet>
  readonly #clock: Clock
  readonly #coolDownMs: number
  #coolDownEnds = -Infinity

  constructor(source: KeySetSource, clock: Clock, coolDownMs: number) {
    this.#keys = new Cached(source, clock)
    this.#clock = clock
    this.#coolDownMs = coolDownMs
  }

  /** Rejects with `unknown_key` or `keys_unavailable`. */
  async find(kid: string): Promise<CryptoKey> {
    const fetchesBefore = this.#keys.fetches
    const known = (await this.#keys.get())?.get(kid)
    if (known) return known
    await this.#refreshForUnknownKey(this.#keys.fetches > fetchesBefore)
    const keys = this.#keys.usable()
    if (!keys) {
      throw new VerifyError('keys_unavailable', 'there are no keys yet', {
        cause: this.#keys.lastError,
      })
    }
    const found = keys.get(kid)
    if (!found) throw unknownKey(kid)
    return found
  }

  /** Unknown `kid`s cause at most one fetch per cool-down, because anyone can invent a `kid`. */
  async #refreshForUnknownKey(hasJustFetched: boolean): Promise<void> {
    if (!this.#keys.usable()) return // without any keys, the retry pause applies
    const now = this.#clock.monotonicMs()
    if (now >= this.#coolDownEnds) {
      this.#coolDownEnds = now + this.#coolDownMs
      if (!hasJustFetched) await this.#keys.refresh()
    } else if (this.#keys.isFetching) {
      await this.#keys.refresh()
    }
  }
}

export class KeySetSource implements Source<KeySet> {
  constructor(
    private readonly url: string,
    private readonly downloader: Downloader,
    private readonly onFailure: (error: unknown, url: string) => void,
  ) {}

  async fetch(etag: string | undefined): Promise<Fetched<KeySet>> {
    const accept = 'application/jwk-set+json, application/json'
    const answer = await this.downloader.get({ url: this.url, accept, etag, maxBytes: MAX_BYTES })
    const maxAge = maxAgeMs(answer.headers)
    return {
      value: answer.status === 200 ? await parseKeySet(answer.body) : undefined,
      freshMs: maxAge ?? (answer.status === 200 ? DEFAULT_MAX_AGE_SECONDS * 1000 : undefined),
      etag: answer.headers.get('etag') ?? undefined,
    }
  }

  hasExpired(): boolean {
    return false
  }

  usableWhenStale(): boolean {
    return true
  }

  retryPauseMs(cached: KeySet | undefined): number {
    return cached ? RETRY_PAUSE_MS : RETRY_PAUSE_WITHOUT_KEYS_MS
  }

  failed(error: unknown): void {
    this.onFailure(error, this.url)
  }
}

/** Returns `kid` and modulus of a key for RS256. Private members are never read. */
function usable(jwk: JsonObject): { kid: string; n: string } | undefined {
  const kid = text(jwk, 'kid')
  const n = text(jwk, 'n')
  const operations = jwk.get('key_ops')
  const isForRs256 =
    jwk.get('kty') === 'RSA' &&
    jwk.get('e') === EXPONENT &&
    (!jwk.has('alg') || jwk.get('alg') === 'RS256') &&
    (!jwk.has('use') || jwk.get('use') === 'sig') &&
    (!jwk.has('key_ops') || (Array.isArray(operations) && operations.includes('verify')))
  return isForRs256 && kid && n && hasSupportedLength(n) ? { kid, n } : undefined
}

/** Counts bits, not bytes, and accepts only the shortest encoding (RFC 7518 §2). */
function hasSupportedLength(modulus: string): boolean {
  if (!isBase64url(modulus)) return false
  const bytes = decode(modulus)
  const first = bytes[0]
  if (!first) return false // empty, or with a leading zero
  const bits = bytes.length * 8 - (Math.clz32(first) - 24)
  return bits >= MIN_MODULUS_BITS && bits <= MAX_MODULUS_BITS
}

async function importKey(n: string): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK({ kty: 'RSA', n, e: EXPONENT }, 'RS256')
    return key instanceof Uint8Array ? undefined : key
  } catch {
    return undefined // the platform does not support this key
  }
}

/**
 * `max-age` (RFC 9111 §5.2.2): at least a second, which also applies to `no-cache` and `no-store`,
 * and at most a day.
 */
function maxAgeMs(headers: Headers): number | undefined {
  const cacheControl = headers.get('cache-control') ?? ''
  if (/(?:^|[\s,])no-(?:cache|store)(?:$|[\s,=])/i.test(cacheControl)) return 1000
  const found = /(?:^|[\s,])max-age="?(\d+)"?(?:$|[\s,])/i.exec(cacheControl)
  if (!found) return undefined
  return Math.min(Math.max(Number(found[1]), 1), LONGEST_MAX_AGE_SECONDS) * 1000
}
