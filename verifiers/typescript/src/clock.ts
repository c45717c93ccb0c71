/** The current time. Tests use a clock that they control. */
export interface Clock {
  /** Seconds since the Unix epoch, for the times in tokens. */
  unixSeconds(): number
  /** Milliseconds of a monotonic clock, for cache ages. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  unixSeconds: () => Math.floor(Date.now() / 1000),
  monotonicMs: () => performance.now(),
}
