/** The walk over JSON, which looks for what `JSON.parse` hides. It is no part of the package's face. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fraction as FractionType, Json } from '../dist/json.js'

const { Fraction, parseObject } = (await import(
  new URL('../dist/json.js', import.meta.url).href
)) as typeof import('../dist/json.js')

const parse = (text: string): ReturnType<typeof parseObject> => parseObject(Buffer.from(text))

/** What was read, in the language's own values. */
function plain(value: Json): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, one]) => [name, plain(one as Json)]))
  if (Array.isArray(value)) return value.map((one) => plain(one as Json))
  return value instanceof Fraction ? (value as FractionType).value : value
}

test('a repeated name is refused at any depth and however it is written', () => {
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

test('names that only look repeated are not', () => {
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

test('only one whole object is read', () => {
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

test('only plain digits are a number, and others stay what they are', () => {
  const read = (number: string): unknown => parse(`{"n":${number}}`)?.get('n')

  for (const whole of ['0', '7', '1800000000', '9007199254740991'])
    assert.equal(read(whole), Number(whole))
  for (const other of ['-0', '-1', '1.0', '1800000000.0', '18e8', '1E3', '0.5', '1e300']) {
    assert.deepEqual(read(other), new Fraction(Number(other)), other)
  }
  assert.equal(read('true'), true)
  assert.equal(read('false'), false)
  assert.equal(read('null'), null)
})

/** A small generator with a fixed start: a failure shows the text that it takes. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('whatever is JSON is read as JSON.parse reads it', () => {
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
  // A name of a backslash is left to the test below: JSON.parse is no judge of it everywhere.
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
  /** The same question put to `JSON.parse`: its reviver sees each object, but one member fewer. */
  const members = (text: string): number => {
    let count = 0
    JSON.parse(text, (_, one: unknown) => {
      if (typeof one === 'object' && one !== null && !Array.isArray(one))
        count += Object.keys(one).length
      return one
    })
    return count
  }
  /** Colons outside of strings: the members as they are written. */
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

test('a name is read as it is written, whatever was read before', () => {
  // JSON.parse of V8 13.6 (Node 24) reads `\n` as a backslash here: an object with that name came first.
  for (const name of ['\\\\', '\\n', '\\"', '\\\\']) {
    const read = [...(parse(`{"a":1,"${name}":1}`)?.keys() ?? [])]
    assert.deepEqual(read, ['a', JSON.parse(`"${name}"`)])
  }
})

test('what is no JSON is refused, wherever a character of a token is changed', () => {
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
