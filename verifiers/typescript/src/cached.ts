/** A cached document: at most one fetch at a time, and a pause after a failed fetch. */

import type { Clock } from './clock.js'

/** The result of a fetch. */
export interface Fetched<T> {
  /** `undefined`: the cached value is still valid. */
  readonly value: T | undefined
  /** Milliseconds until the next fetch. `undefined`: as for the cached value. */
  readonly freshMs: number | undefined
  readonly etag: string | undefined
}

/** The source of a value, and the rules for caching it. */
export interface Source<T> {
  /** Rejects if the fetch fails. `etag` is that of the cached value, if there is one. */
  fetch(etag: string | undefined): Promise<Fetched<T>>
  /** Whether the value must not be used any more, even if the server confirms it. */
  hasExpired(value: T): boolean
  /** Whether a stale value may be used while it cannot be fetched again. */
  usableWhenStale(value: T): boolean
  /** Milliseconds from a failed fetch to the next attempt. */
  retryPauseMs(cached: T | undefined): number
  /** Called after each failed fetch. */
  failed(error: unknown): void
}

/** How long callers that can use the cached value wait for a fetch, from its start. */
const STALE_WAIT_MS = 1000

interface PendingFetch {
  readonly settled: Promise<void>
  /** Resolves when the fetch has settled, or after `STALE_WAIT_MS`. */
  readonly settledOrTimedOut: Promise<void>
}

interface CacheEntry<T> {
  readonly value: T
  readonly etag: string | undefined
  readonly freshMs: number
  /** When it was requested, on the monotonic clock: it may lack later changes. */
  readonly requestedAt: number
}

export class Cached<T> {
  #entry: CacheEntry<T> | undefined
  #pending: PendingFetch | undefined
  #retryAt = -Infinity

  /** How many fetches have ended, including failed ones. */
  fetches = 0
  /** The error of the last fetch; `undefined` if it succeeded. */
  lastError: unknown

  constructor(
    private readonly source: Source<T>,
    private readonly clock: Clock,
  ) {}

  /**
   * Returns the usable value, and fetches it first if it is stale; `undefined` if there is none.
   */
  async get(): Promise<T | undefined> {
    if (this.#isFresh()) return this.usable()
    if (this.#pending || this.clock.monotonicMs() >= this.#retryAt) {
      const { settled, settledOrTimedOut } = this.#startOrJoinFetch()
      if (this.usable() !== undefined) await settledOrTimedOut
      if (this.usable() === undefined) await settled
    }
    return this.usable()
  }

  /** Returns the cached value if it is usable, without a fetch. */
  usable(): T | undefined {
    const entry = this.#entry
    if (!entry || this.source.hasExpired(entry.value)) return undefined
    return this.#isFresh() || this.source.usableWhenStale(entry.value) ? entry.value : undefined
  }

  get isFetching(): boolean {
    return this.#pending !== undefined
  }

  /** Fetches now, or waits for the fetch in progress. Never rejects. */
  refresh(): Promise<void> {
    return this.#startOrJoinFetch().settled
  }

  #startOrJoinFetch(): PendingFetch {
    if (this.#pending) return this.#pending
    const settled = this.#fetch().finally(() => {
      this.#pending = undefined
    })
    this.#pending = { settled, settledOrTimedOut: atMost(STALE_WAIT_MS, settled) }
    return this.#pending
  }

  async #fetch(): Promise<void> {
    const entry = this.#entry && !this.source.hasExpired(this.#entry.value) ? this.#entry : undefined
    const requestedAt = this.clock.monotonicMs()
    try {
      const {
        value = entry?.value,
        freshMs = entry?.freshMs,
        etag,
      } = await this.source.fetch(entry?.etag)
      if (value === undefined || freshMs === undefined) {
        throw new Error('not modified, but nothing is cached')
      }
      this.#entry = { value, freshMs, etag: etag ?? entry?.etag, requestedAt }
      this.#retryAt = -Infinity
      this.lastError = undefined
    } catch (error) {
      this.lastError = error
      this.#retryAt = this.clock.monotonicMs() + this.source.retryPauseMs(this.#entry?.value)
      this.source.failed(error)
    } finally {
      this.fetches++
    }
  }

  #isFresh(): boolean {
    const entry = this.#entry
    return (
      entry !== undefined &&
      this.clock.monotonicMs() - entry.requestedAt < entry.freshMs &&
      !this.source.hasExpired(entry.value)
    )
  }
}

/** Resolves with `promise`, which must not reject, or after `ms` milliseconds. */
async function atMost(ms: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, over])
  clearTimeout(timer)
}
