/**
 * JSON as strictly as a token deserves.
 *
 * `JSON.parse` judges the syntax. What it hides is read by the walk below: a name that occurs twice
 * (it keeps the last silently, so that two readers of one token can see two subjects; RFC 7515 §4,
 * RFC 7519 §4), and how a number was written. The walk may trust the syntax, which keeps it small. It
 * reads the names itself: V8 13.6 (Node 24) gives an object another name than is written, a backslash for
 * `\n`, once it has read an object with that other name.
 *
 * Why no library: `lossless-json` lets a name occur twice with equal values, `momoa` takes ten times
 * as long as this for a token's claims (20 µs; half a signature check), and `jsonc-parser` breaks in
 * servers bundled by esbuild and in browsers without a bundler, where this package is to run.
 */

/** An object's members by name: a `Map`, so that no name has a meaning in the language. */
export type JsonObject = ReadonlyMap<string, Json>

export type Json = JsonObject | readonly Json[] | string | number | Fraction | boolean | null

/** A number that was not written as plain digits: `1.0`, `1e3` and `-1` are no whole seconds. */
export class Fraction {
  constructor(readonly value: number) {}
}

/** More objects and lists in one another are refused, as in every language: it bounds the stack. */
const MAX_DEPTH = 127

const QUOTE = 0x22
const COMMA = 0x2c
const LIST = 0x5b
const LIST_END = 0x5d
const OBJECT = 0x7b
const OBJECT_END = 0x7d
const SPACE = 0x20

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads `json` as one object with nothing after it. `undefined` if it is anything else, repeats a
 * name at any depth, is not UTF-8, or nests deeper than 127.
 */
export function parseObject(json: Uint8Array): JsonObject | undefined {
  try {
    const text = utf8.decode(json)
    JSON.parse(text)
    const value = new Walk(text).value(0)
    return value instanceof Map ? value : undefined
  } catch {
    return undefined // TextDecoder, JSON.parse and the walk throw at what they refuse
  }
}

/** The member `name` if it is a string. */
export function text(object: JsonObject, name: string): string | undefined {
  const value = object.get(name)
  return typeof value === 'string' ? value : undefined
}

/** Reads a text that is known to be JSON. */
class Walk {
  #at = 0

  constructor(private readonly text: string) {}

  /** The value that begins here, within `depth` others. */
  value(depth: number): Json {
    switch (this.#next()) {
      case OBJECT:
        return this.#object(inner(depth))
      case LIST:
        return this.#list(inner(depth))
      case QUOTE:
        return this.#string()
      default:
        return this.#literal()
    }
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>()
    this.#at++
    while (this.#next() !== OBJECT_END) {
      const name = this.#string()
      if (members.has(name)) throw new SyntaxError('a name occurs twice')
      this.#next() // the colon
      this.#at++
      members.set(name, this.value(depth))
    }
    this.#at++
    return members
  }

  #list(depth: number): readonly Json[] {
    const items: Json[] = []
    this.#at++
    while (this.#next() !== LIST_END) items.push(this.value(depth))
    this.#at++
    return items
  }

  #string(): string {
    const start = this.#at
    let end = this.text.indexOf('"', start + 1)
    const raw = this.text.slice(start + 1, end)
    if (!raw.includes('\\')) {
      this.#at = end + 1
      return raw
    }
    for (end = start + 1; this.text.charCodeAt(end) !== QUOTE; end++) {
      if (this.text.charCodeAt(end) === 0x5c) end++
    }
    this.#at = end + 1
    const value = JSON.parse(this.text.slice(start, end + 1)) as string
    if (/[\ud800-\udfff]/u.test(value)) throw new SyntaxError('half a character')
    return value
  }

  #literal(): number | Fraction | boolean | null {
    const start = this.#at
    while (!endsLiteral(this.text.charCodeAt(this.#at))) this.#at++
    const raw = this.text.slice(start, this.#at)
    if (/^[0-9]+$/.test(raw)) return Number(raw)
    const value = JSON.parse(raw) as number | boolean | null
    return typeof value === 'number' ? new Fraction(value) : value
  }

  /** Steps over white space and commas, and tells what stands there. */
  #next(): number {
    for (;;) {
      const code = this.text.charCodeAt(this.#at)
      if (code > SPACE && code !== COMMA) return code
      this.#at++
    }
  }
}

function inner(depth: number): number {
  if (depth >= MAX_DEPTH) throw new SyntaxError('nested too deeply')
  return depth + 1
}

function endsLiteral(code: number): boolean {
  // NaN, the end of the text, compares false with everything.
  return !(code > SPACE) || code === COMMA || code === OBJECT_END || code === LIST_END
}
