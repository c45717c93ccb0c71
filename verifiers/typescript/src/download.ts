/** One bounded GET: no redirects, no more bytes than allowed, no longer than allowed. */

/** What there is at an address. */
export type Download =
  | { readonly status: 200; readonly headers: Headers; readonly body: Uint8Array }
  /** What was held before is as good as new. */
  | { readonly status: 304; readonly headers: Headers }

export interface Request {
  readonly url: string
  readonly accept: string
  /** The ETag of what is held, if it may be held on to. */
  readonly etag: string | undefined
  readonly maxBytes: number
}

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; redirect: 'manual'; signal: AbortSignal },
) => Promise<Response>

export class Downloader {
  constructor(
    private readonly fetch: Fetch,
    private readonly timeoutMs: number,
  ) {}

  /** Rejects with an `Error` that says what went wrong. */
  async get(request: Request): Promise<Download> {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    // A race, since a fetch that somebody passed in may not listen to the signal.
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new Error(`${request.url} took longer than ${String(this.timeoutMs)} ms`)
        reject(error)
        abort.abort(error)
      }, this.timeoutMs)
    })
    try {
      return await Promise.race([this.#exchange(request, abort.signal), timeout])
    } finally {
      clearTimeout(timer)
    }
  }

  async #exchange(request: Request, signal: AbortSignal): Promise<Download> {
    const { url, accept, etag } = request
    const headers: Record<string, string> = { Accept: accept }
    if (etag !== undefined) headers['If-None-Match'] = etag
    const { fetch } = this
    // `manual`, not `error`, which some workers do not know; what comes then is no 200.
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    if (response.status === 200) {
      return {
        status: 200,
        headers: response.headers,
        body: await readBody(request, response, signal),
      }
    }
    await response.body?.cancel() // gives the connection back
    if (response.status === 304 && etag !== undefined) {
      return { status: 304, headers: response.headers }
    }
    throw new Error(`${url} answered ${String(response.status)}`)
  }
}

async function readBody(
  { url, maxBytes }: Request,
  response: Response,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (!response.body) return new Uint8Array()
  const bytes = await readAtMost(response.body, maxBytes, signal)
  if (!bytes) throw new Error(`${url} sent more than ${String(maxBytes)} bytes`)
  return bytes
}

/**
 * Reads `stream` to its end, or until `signal` makes that the end; `undefined`, and no more is read,
 * if there are more bytes than `maxBytes`.
 */
export async function readAtMost(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = stream.getReader()
  // Not awaited: whether the other end takes note does not matter any more.
  const stop = (): void => void reader.cancel().catch(() => undefined)
  signal?.addEventListener('abort', stop)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > maxBytes) {
      stop()
      return undefined
    }
    chunks.push(value)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
