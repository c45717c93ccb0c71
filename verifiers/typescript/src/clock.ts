/** What time it is. A test passes one whose hands it moves. */
export interface Clock {
  /** Seconds since the Unix epoch: tokens are judged by it. */
  unixSeconds(): number
  /** Milliseconds since any moment, never set back: what is cached ages by it. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  unixSeconds: () => Math.floor(Date.now() / 1000),
  monotonicMs: () => performance.now(),
}
