/** Something fetched that is held for a while: one fetch at a time, and a pause after a failure. */

import type { Clock } from './clock.js'

/** What a fetch has brought. */
export interface Fetched<T> {
  /** `undefined`: what is held is as good as new. */
  readonly value: T | undefined
  /** Milliseconds until it is fetched again; `undefined`, with no value: as long as before. */
  readonly freshMs: number | undefined
  readonly etag: string | undefined
}

/** Where a value comes from, and the rules that hold for it. */
export interface Source<T> {
  /** Rejects if there is nothing to be had; `etag` is that of the value held, if there is one. */
  fetch(etag: string | undefined): Promise<Fetched<T>>
  /** Whether the value must not be used any more, however often it is confirmed. */
  hasExpired(value: T): boolean
  /** Whether the value may be used beyond its time while it cannot be fetched again. */
  outlivesFailures(value: T): boolean
  /** Milliseconds without another attempt after one that failed. */
  retryPauseMs(held: T | undefined): number
  /** Told of a fetch that failed. */
  failed(error: unknown): void
}

/** How long who could go on with what is held waits for something newer, from the fetch's start. */
const PATIENCE_MS = 1000

interface Flight {
  readonly landed: Promise<void>
  /** When it has landed, or patience with it is over. */
  readonly awaited: Promise<void>
}

interface Held<T> {
  readonly value: T
  readonly etag: string | undefined
  readonly freshMs: number
  /** When it was asked for, on the monotonic clock: what happened later may not be in it. */
  readonly asOf: number
}

export class Cached<T> {
  #held: Held<T> | undefined
  #flight: Flight | undefined
  #retryAt = -Infinity

  /** How many fetches have ended, well or not. */
  fetches = 0
  /** Why the last fetch failed; `undefined` if it did not. */
  lastError: unknown

  constructor(
    private readonly source: Source<T>,
    private readonly clock: Clock,
  ) {}

  /** The value as it may be used now, fetched first if it is time; `undefined` if there is none. */
  async get(): Promise<T | undefined> {
    if (this.#isFresh()) return this.usable()
    if (this.#flight || this.clock.monotonicMs() >= this.#retryAt) {
      const { landed, awaited } = this.#fly()
      if (this.usable() !== undefined) await awaited
      if (this.usable() === undefined) await landed
    }
    return this.usable()
  }

  /** The value if it may be used now, without a fetch. */
  usable(): T | undefined {
    const held = this.#held
    if (!held || this.source.hasExpired(held.value)) return undefined
    return this.#isFresh() || this.source.outlivesFailures(held.value) ? held.value : undefined
  }

  get isFetching(): boolean {
    return this.#flight !== undefined
  }

  /** Fetches now, or waits for the fetch that is under way. Never rejects. */
  refresh(): Promise<void> {
    return this.#fly().landed
  }

  #fly(): Flight {
    if (this.#flight) return this.#flight
    const landed = this.#fetch().finally(() => {
      this.#flight = undefined
    })
    this.#flight = { landed, awaited: atMost(PATIENCE_MS, landed) }
    return this.#flight
  }

  async #fetch(): Promise<void> {
    const held = this.#held && !this.source.hasExpired(this.#held.value) ? this.#held : undefined
    const asOf = this.clock.monotonicMs()
    try {
      const {
        value = held?.value,
        freshMs = held?.freshMs,
        etag,
      } = await this.source.fetch(held?.etag)
      if (value === undefined || freshMs === undefined) throw new Error('nothing to be held')
      this.#held = { value, freshMs, etag: etag ?? held?.etag, asOf }
      this.#retryAt = -Infinity
      this.lastError = undefined
    } catch (error) {
      this.lastError = error
      this.#retryAt = this.clock.monotonicMs() + this.source.retryPauseMs(this.#held?.value)
      this.source.failed(error)
    } finally {
      this.fetches++
    }
  }

  #isFresh(): boolean {
    const held = this.#held
    return (
      held !== undefined &&
      this.clock.monotonicMs() - held.asOf < held.freshMs &&
      !this.source.hasExpired(held.value)
    )
  }
}

/** Resolves with `promise`, which does not reject, but no later than after `ms` milliseconds. */
async function atMost(ms: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, over])
  clearTimeout(timer)
}
