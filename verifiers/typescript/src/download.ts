/** A GET request without redirects, with limits on size and time. */

/** A successful response. */
export type Download =
  | { readonly status: 200; readonly headers: Headers; readonly body: Uint8Array }
  /** The cached value is still valid. */
  | { readonly status: 304; readonly headers: Headers }

export interface Request {
  readonly url: string
  readonly accept: string
  /** The ETag of the cached value, if a 304 is acceptable. */
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

  /** Rejects with an `Error` that describes the failure. */
  async get(request: Request): Promise<Download> {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    // A race, because a custom `fetch` may ignore the signal.
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
    // `manual`, because some workers do not support `error`. A redirect then has a status other
    // than 200.
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    if (response.status === 200) {
      return {
        status: 200,
        headers: response.headers,
        body: await readBody(request, response, signal),
      }
    }
    await response.body?.cancel() // releases the connection
    if (response.status === 304 && etag !== undefined) {
      return { status: 304, headers: response.headers }
    }
    throw new Error(`${url} responded with ${String(response.status)}`)
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
 * Reads `stream` to its end, or until `signal` aborts. Stops and returns `undefined` if there are
 * more than `maxBytes` bytes.
 */
export async function readAtMost(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = stream.getReader()
  // Not awaited: it does not matter whether the sender notices.
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
