import { readAtMost } from './download.js'

/**
 * Inflates one zlib stream (RFC 1950) and stops as soon as there are more than `maxBytes`: a few
 * kilobytes can claim to be gigabytes. Rejects then, and if it is not one whole stream.
 */
export async function inflate(
  compressed: Uint8Array<ArrayBuffer>,
  maxBytes: number,
): Promise<Uint8Array> {
  const bytes = await inflatePart(compressed, maxBytes)
  // Some platforms (Node 20) ignore what follows a stream. Then it is whole without its last byte too.
  const isWholeBefore = await inflatePart(compressed.subarray(0, -1), maxBytes).then(
    () => true,
    () => false,
  )
  if (isWholeBefore) throw new Error('something follows the zlib stream')
  return bytes
}

async function inflatePart(
  compressed: Uint8Array<ArrayBuffer>,
  maxBytes: number,
): Promise<Uint8Array> {
  const stream = new DecompressionStream('deflate')
  const writer = stream.writable.getWriter()
  // What goes wrong is seen by the reader too; here it would only be an unhandled rejection.
  writer.write(compressed).catch(() => undefined)
  writer.close().catch(() => undefined)
  const bytes = await readAtMost(stream.readable, maxBytes)
  if (!bytes) throw new Error(`more than ${String(maxBytes)} bytes when inflated`)
  return bytes
}
