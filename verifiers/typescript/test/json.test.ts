/** The strict JSON parser, which is internal to the package. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json, OtherNumber as OtherNumberType } from '../dist/json.js'

const { OtherNumber, parseObject } = (await import(
  new URL('../dist/json.js', import.meta.url).href
)) as typeof import('../dist/json.js')

const parse = (text: string): ReturnType<typeof parseObject> => parseObject(Buffer.from(text))

/** Converts a parsed value to plain JavaScript values. */
function plain(value: Json): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, one]) => [name, plain(one as Json)]))
  if (Array.isArray(value)) return value.map((one) => plain(one as Json))
  return value instanceof OtherNumber ? (value as OtherNumberType).value : value
}

test('duplicate names are rejected at any depth and with any escapes', () => {
  for (const json of [
    '{"a":1,"a":1}',
    '{"a":1,"b":2,"a":3}',
    '{"a":1,"\\u0061":1}',
    '{"\\u0061":1,"a":1}',
    '{"a\\"":1,"a\\u0022":1}',
    '{"":1,"":2}',
    '{"x":{"a":1,"a":2}}',
    '{"x":[0,{"a":1,"a":2}]}',
    '{"x":[[[{"y":{"a":[],"a":[]}}]]]}',
    '{"__proto__":1,"__proto__":1}',
    '{"constructor":1,"constructor":2}',
    ' { "a" : 1 , "b" : { } , "a" : 2 } ',
    '{"a":"\\"b\\":","a":1}',
    '{"a":{"a":{"a":1},"b":1},"a":2}',
  ]) {
    assert.equal(parse(json), undefined, json)
  }
})

test('names that only look like duplicates are accepted', () => {
  for (const json of [
    '{"a":{"a":[{"a":1},{"a":1}]},"A":1}',
    '{"a":"a","b":"a"}',
    '{"a":"\\",\\"a\\":1","b":"}"}',
    '{"a\\\\":1,"a":2}',
    '{"é":1,"e\\u0301":1}',
    '{"a":["a","a",":","{\\"a\\""]}',
  ]) {
    assert.deepEqual(plain(parse(json) ?? null), JSON.parse(json), json)
  }
})

test('only exactly one object is accepted', () => {
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
  for (const json of [
    '',
    ' ',
    'null',
    '[]',
    '7',
    '"a"',
    '{',
    '{}{}',
    '{} x',
    '{a:1}',
    '{"a":1,}',
    '{"a":01}',
    '{"a":NaN}',
    '\ufeff{}',
    '{"a":"\\ud800"}',
    '{"\\udc00":1}',
    '{"a":"\n"}',
    "{'a':1}",
    '{"a":1}//',
    '{"a":+1}',
    '{"a":.5}',
    '[{}]',
    '{"a":1 "b":2}',
    '{"a"}',
    '{,}',
    nested(127),
    nested(100_000),
  ]) {
    assert.equal(parse(json), undefined, json.slice(0, 40))
  }
  assert.equal(parseObject(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), undefined)
  assert.ok(parse(nested(126)))
})

test('only numbers in plain digits are read as numbers', () => {
  const read = (number: string): unknown => parse(`{"n":${number}}`)?.get('n')

  for (const whole of ['0', '7', '1800000000', '9007199254740991'])
    assert.equal(read(whole), Number(whole))
  for (const other of ['-0', '-1', '1.0', '1800000000.0', '18e8', '1E3', '0.5', '1e300']) {
    assert.deepEqual(read(other), new OtherNumber(Number(other)), other)
  }
  assert.equal(read('true'), true)
  assert.equal(read('false'), false)
  assert.equal(read('null'), null)
})

/** A pseudo-random generator with a fixed seed, so that failures are reproducible. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('random JSON is read as by JSON.parse', () => {
  const below = random(7)
  const pick = <T>(...from: readonly T[]): T => from[below(from.length)] as T
  const space = (): string => pick('', '', ' ', '\n\t', '\r ')
  const text = (...parts: readonly string[]): string =>
    Array.from({ length: below(3) }, () => pick(...parts)).join('')
  const parts = [
    'a',
    'b',
    ':',
    ',',
    '\\"',
    '\\u0061',
    '{',
    '}',
    '[',
    '/',
    'é',
    '😀',
    '\\n',
    '__proto__',
  ]
  // The test below covers names with a backslash, which some versions of JSON.parse misread.
  const name = (): string => text(...parts)
  const value = (depth: number): string => {
    switch (below(depth > 4 ? 3 : 5)) {
      case 0:
        return `"${text(...parts, '\\\\')}"`
      case 1:
        return pick('0', '-0', '12', '-3.5', '1e5', '2E-3', '123456789012345678901')
      case 2:
        return pick('true', 'false', 'null', '[]', '{}')
      case 3:
        return `[${list(depth, () => value(depth + 1))}]`
      default:
        return object(depth)
    }
  }
  const list = (_: number, one: () => string): string =>
    Array.from({ length: below(4) }, () => space() + one() + space()).join(',')
  const object = (depth: number): string =>
    `{${list(depth, () => `"${name()}"${space()}:${space()}${value(depth + 1)}`)}${space()}}`
  /** Counts members as `JSON.parse` sees them, that is, duplicates only once. */
  const members = (text: string): number => {
    let count = 0
    JSON.parse(text, (_, one: unknown) => {
      if (typeof one === 'object' && one !== null && !Array.isArray(one))
        count += Object.keys(one).length
      return one
    })
    return count
  }
  /** Counts the colons outside of strings, that is, all members in the text. */
  const written = (text: string): number =>
    text.replace(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1

  const seen = { read: 0, repeated: 0 }
  for (let round = 0; round < 20_000; round++) {
    const text = space() + object(0) + space()
    const found = parse(text)
    const isRepeated = written(text) !== members(text)
    assert.equal(found === undefined, isRepeated, text)
    if (found) assert.deepEqual(plain(found), JSON.parse(text), text)
    seen[found ? 'read' : 'repeated']++
  }
  assert.ok(seen.read > 5_000 && seen.repeated > 500, JSON.stringify(seen))
})

test('names are read correctly after an object with a similar name', () => {
  // After an object with a name that is a backslash, JSON.parse of V8 13.6 (Node 24) reads `\n` as
  // a backslash.
  for (const name of ['\\\\', '\\n', '\\"', '\\\\']) {
    const read = [...(parse(`{"a":1,"${name}":1}`)?.keys() ?? [])]
    assert.deepEqual(read, ['a', JSON.parse(`"${name}"`)])
  }
})

test('mutated text that is not JSON is rejected', () => {
  const below = random(11)
  const whole =
    '{"alg":"RS256","kid":"a\\"b","n":[1,2.5,{"x":null}],"status":{"status_list":{"idx":7,"uri":"u"}}}'
  for (let round = 0; round < 20_000; round++) {
    const at = below(whole.length)
    const text =
      whole.slice(0, at) + '{}[]",:\\0e. x\u0000'.charAt(below(14)) + whole.slice(at + below(2))
    let isJson = true
    try {
      JSON.parse(text)
    } catch {
      isJson = false
    }
    if (!isJson) assert.equal(parse(text), undefined, text)
  }
})
