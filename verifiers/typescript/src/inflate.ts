import { readAtMost } from './download.js'

/**
 * Inflates one zlib stream (RFC 1950). Stops and rejects as soon as there are more than `maxBytes`,
 * because a few kilobytes can inflate to gigabytes. Also rejects if it is not exactly one complete
 * stream.
 *
 * Platforms differ in what they accept: Node 20 ignores trailing data, and Deno 2 accepts a stream
 * without its last bytes. A stream ends with a checksum, whose position is checked here.
 */
export async function inflate(
  compressed: Uint8Array<ArrayBuffer>,
  maxBytes: number,
): Promise<Uint8Array> {
  const bytes = await inflatePart(compressed, maxBytes)
  const checksum = adler32(bytes)
  const end = compressed.length - 4
  if (end < 0 || uint32(compressed, end) !== checksum) {
    throw new Error('the zlib stream does not end with its checksum')
  }
  const first = indexOf(compressed, checksum)
  if (first < end && (await isWhole(compressed.subarray(0, first + 4), maxBytes))) {
    throw new Error('data follows the zlib stream')
  }
  return bytes
}

async function inflatePart(
  compressed: Uint8Array<ArrayBuffer>,
  maxBytes: number,
): Promise<Uint8Array> {
  const stream = new DecompressionStream('deflate')
  const writer = stream.writable.getWriter()
  // The reader gets the same errors; here they would only be unhandled rejections.
  writer.write(compressed).catch(() => undefined)
  writer.close().catch(() => undefined)
  const bytes = await readAtMost(stream.readable, maxBytes)
  if (!bytes) throw new Error(`more than ${String(maxBytes)} bytes when inflated`)
  return bytes
}

function isWhole(compressed: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<boolean> {
  return inflatePart(compressed, maxBytes).then(
    () => true,
    () => false,
  )
}

/** The first position of the four bytes of `wanted`, which must occur. */
function indexOf(bytes: Uint8Array, wanted: number): number {
  const first = wanted >>> 24
  let at = bytes.indexOf(first)
  while (uint32(bytes, at) !== wanted) at = bytes.indexOf(first, at + 1)
  return at
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)
}

/** The checksum of RFC 1950 §9, used only to find the end of a stream. */
function adler32(bytes: Uint8Array): number {
  const BASE = 65_521
  const BLOCK = 5_552 // the longest for which the sums stay below 2^32
  let a = 1
  let b = 0
  for (let start = 0; start < bytes.length; start += BLOCK) {
    for (const byte of bytes.subarray(start, start + BLOCK)) {
      a += byte
      b += a
    }
    a %= BASE
    b %= BASE
  }
  return b * 65_536 + a
}
