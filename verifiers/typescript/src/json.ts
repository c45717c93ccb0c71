/**
 * A strict JSON parser.
 *
 * `JSON.parse` checks the syntax. The class `Walk` detects what `JSON.parse` hides: duplicate names
 * and the notation of numbers. `JSON.parse` silently uses the last of two members with one name, so
 * two parsers could read different subjects from one token (RFC 7515 §4, RFC 7519 §4). `Walk` can
 * rely on valid syntax, which keeps it small. It reads the names itself, because V8 13.6 (Node 24)
 * has a defect: after an object with a name that is a backslash, it reads the name `\n` of a later
 * object as a backslash.
 *
 * No library is suitable. `lossless-json` accepts duplicate names with equal values. `momoa` needs
 * 20 µs for a token's claims: ten times as long as this parser, and half as long as the check of a
 * signature. `jsonc-parser` fails in servers bundled by esbuild and in browsers without a bundler,
 * which this package supports.
 */

/**
 * An object's members by name: a `Map`, so that names such as `__proto__` have no special meaning.
 */
export type JsonObject = ReadonlyMap<string, Json>

export type Json = JsonObject | readonly Json[] | string | number | OtherNumber | boolean | null

/** A number that is not written in plain digits, such as `1.0`, `1e3` and `-1`. */
export class OtherNumber {
  constructor(readonly value: number) {}
}

/** The maximum nesting depth of objects and lists, which bounds the stack. */
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
 * Parses `json` as exactly one object. Returns `undefined` for any other value, for duplicate names
 * at any depth, for invalid UTF-8, for escapes of unpaired surrogates, and for nesting deeper than
 * 127.
 */
export function parseObject(json: Uint8Array): JsonObject | undefined {
  try {
    const text = utf8.decode(json)
    JSON.parse(text)
    const value = new Walk(text).value(0)
    return value instanceof Map ? value : undefined
  } catch {
    return undefined // TextDecoder, JSON.parse or Walk refused the text
  }
}

/** The member `name` if it is a string. */
export function text(object: JsonObject, name: string): string | undefined {
  const value = object.get(name)
  return typeof value === 'string' ? value : undefined
}

/** Reads a text with valid JSON syntax. */
class Walk {
  #at = 0

  constructor(private readonly text: string) {}

  /** Reads the value at the current position, at nesting depth `depth`. */
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
      if (members.has(name)) throw new SyntaxError('duplicate name')
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
    if (/[\ud800-\udfff]/u.test(value)) throw new SyntaxError('unpaired surrogate')
    return value
  }

  #literal(): number | OtherNumber | boolean | null {
    const start = this.#at
    while (!endsLiteral(this.text.charCodeAt(this.#at))) this.#at++
    const raw = this.text.slice(start, this.#at)
    if (/^[0-9]+$/.test(raw)) return Number(raw)
    const value = JSON.parse(raw) as number | boolean | null
    return typeof value === 'number' ? new OtherNumber(value) : value
  }

  /** Skips white space and commas, and returns the next character code. */
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
  // At the end of the text `code` is NaN, for which all comparisons are false.
  return !(code > SPACE) || code === COMMA || code === OBJECT_END || code === LIST_END
}
