/** Fetching and caching, as verifiers/README.md specifies. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Verifier } from '@signet/verifier'
import {
  AUDIENCE,
  ManualClock,
  ISSUER,
  KEY_SET,
  LIST,
  NOW,
  issuer,
  jwk,
  listToken,
  outcome,
  token,
  verifier,
} from './harness.js'
import type { Issuer } from './harness.js'

const TOKEN = await token()
const CLIENT_TOKEN = await token({ user_id: undefined, status: undefined })

const withKey = (kid: string): Promise<string> => token({ status: undefined }, { kid })

/** Tokens with different unknown `kid`s. */
const tokensWithUnknownKeys = (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, number) => withKey(`unknown-${String(number)}`)))

/** Delays responses for `url` until the returned function is called with a response. */
function pendingResponse(from: Issuer, url: string): (answer: Response | Promise<Response>) => void {
  let release: (answer: Response | Promise<Response>) => void = () => undefined
  const answer = new Promise<Response>((resolve) => (release = resolve))
  from.answers.set(url, () => answer)
  return release
}

test('documents are fetched only when a token needs them', async () => {
  const from = await issuer()
  const checks = verifier(from)

  assert.equal(await outcome(checks.verify('not.a.token')), 'malformed')
  assert.equal(await outcome(checks.verify(await token({}, { typ: 'JWT' }))), 'wrong_type')
  assert.deepEqual(from.requests, [])

  assert.equal(await outcome(checks.verify(CLIENT_TOKEN)), 'accepted')
  assert.deepEqual(
    from.requests.map(({ url }) => url),
    [KEY_SET],
  )
})

test('a hundred concurrent tokens cause one fetch per document', async () => {
  const from = await issuer()
  from.delayMs = 20
  const checks = verifier(from)

  const all = await Promise.all(Array.from({ length: 100 }, () => outcome(checks.verify(TOKEN))))

  assert.deepEqual(new Set(all), new Set(['accepted']))
  assert.deepEqual(
    from.requests.map(({ url }) => url),
    [KEY_SET, LIST],
  )
})

test('the key set is fetched again after its max-age', async () => {
  for (const [header, seconds] of [
    ['public, max-age=120', 120],
    ['max-age=0', 1],
    ['max-age="7"', 7],
    ['max-age=999999999', 86_400],
    ['s-maxage=7', 300],
    ['max-age=x', 300],
    ['no-cache', 1],
    ['no-store', 1],
    ['private,No-Store, max-age=120', 1],
    ['max-age=120, no-cache="Set-Cookie"', 1],
    ['no-cached, x-no-store', 300],
    ['', 300],
  ] as const) {
    const from = await issuer()
    from.serveKeys({ 'Cache-Control': header })
    const clock = new ManualClock()
    const checks = verifier(from, clock)
    const forever = await token({ status: undefined, exp: NOW + 1_000_000 })

    await checks.verify(forever)
    clock.advance(seconds - 0.5)
    await checks.verify(forever)
    assert.equal(from.requestsFor(KEY_SET), 1, header)

    clock.advance(0.5)
    await checks.verify(forever)
    await checks.verify(forever)
    assert.equal(from.requestsFor(KEY_SET), 2, header)
  }
})

test('a list is fetched again after its ttl and not before', async () => {
  for (const [ttl, seconds] of [
    [15, 15],
    [undefined, 300],
    [0.5, 0.5],
    [86_401, 86_400],
    [1e300, 86_400],
  ] as const) {
    const from = await issuer({ ttl, exp: NOW + 1_000_000 })
    const clock = new ManualClock()
    const checks = verifier(from, clock)
    const lasting = await token({ exp: NOW + 1_000_000 })

    await checks.verify(lasting)
    from.serveList(await listToken({ ttl, exp: NOW + 1_000_000 }, [7]))
    clock.advance(seconds - 0.25)
    assert.equal(await outcome(checks.verify(lasting)), 'accepted')
    assert.equal(from.requestsFor(LIST), 1)

    clock.advance(0.25)
    assert.equal(await outcome(checks.verify(lasting)), 'revoked')
    assert.equal(await outcome(checks.verify(lasting)), 'revoked')
    assert.equal(from.requestsFor(LIST), 2)
  }
})

test('cache age counts from the start of the fetch', async () => {
  const from = await issuer({ ttl: 60 })
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  for (const [url, answer] of from.answers) {
    from.answers.set(url, () => {
      clock.advance(2) // the response may lack sessions that ended in this time
      return answer()
    })
  }
  await checks.verify(TOKEN)

  clock.advance(57)
  await checks.verify(TOKEN)
  assert.equal(from.requestsFor(LIST), 1)
  clock.advance(1)
  await checks.verify(TOKEN)
  assert.equal(from.requestsFor(LIST), 2)

  clock.advance(300 - 64 - 1)
  from.requests.length = 0
  await checks.verify(CLIENT_TOKEN)
  assert.equal(from.requestsFor(KEY_SET), 0)
  clock.advance(1)
  await checks.verify(CLIENT_TOKEN)
  assert.equal(from.requestsFor(KEY_SET), 1)
})

test('cached documents are revalidated with their ETag', async () => {
  const from = await issuer()
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  from.serveKeys({ ETag: '"k1"', 'Cache-Control': 'max-age=60' })
  from.serveList(await listToken(), { ETag: 'W/"l1"' })
  await checks.verify(TOKEN)
  for (const url of [KEY_SET, LIST])
    from.answers.set(url, () => new Response(null, { status: 304 }))

  for (let round = 2; round < 5; round++) {
    clock.advance(60)
    assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
    assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
    assert.equal(from.requestsFor(KEY_SET), round)
    assert.equal(from.requestsFor(LIST), round)
  }

  const sent = from.requests.map(({ url, headers }) => [url, headers['If-None-Match']])
  const asked = (url: string): unknown[] =>
    sent.filter(([to]) => to === url).map(([, etag]) => etag)
  assert.deepEqual(asked(KEY_SET), [undefined, '"k1"', '"k1"', '"k1"'])
  assert.deepEqual(asked(LIST), [undefined, 'W/"l1"', 'W/"l1"', 'W/"l1"'])
})

test('the max-age of a 304 replaces the previous one', async () => {
  const from = await issuer()
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  from.serveKeys({ ETag: '"k1"', 'Cache-Control': 'max-age=60' })
  await checks.verify(CLIENT_TOKEN)
  const headers = { 'Cache-Control': 'max-age=600', ETag: '"k1"' }
  from.answers.set(KEY_SET, () => new Response(null, { status: 304, headers }))
  clock.advance(60)
  await checks.verify(CLIENT_TOKEN)

  clock.advance(599)
  await checks.verify(CLIENT_TOKEN)

  assert.equal(from.requestsFor(KEY_SET), 2)
})

test('a 304 does not renew an expired list', async () => {
  const from = await issuer()
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  from.serveList(await listToken({ exp: NOW + 60, ttl: 300 }), { ETag: '"l1"' })
  await checks.verify(TOKEN)
  from.answers.set(LIST, () => new Response(null, { status: 304 }))
  clock.advance(91)

  assert.equal(await outcome(checks.verify(TOKEN)), 'status_unavailable')
  assert.equal(from.requests.at(-1)?.headers['If-None-Match'], undefined)
})

test('a thousand unknown kids cause one fetch per cool-down', async () => {
  const from = await issuer()
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  const unknown = await tokensWithUnknownKeys(1000)
  const refuseAll = async (): Promise<void> => {
    for (const one of unknown.slice(0, 500)) {
      assert.equal(await outcome(checks.verify(one)), 'unknown_key')
    }
    const atOnce = unknown.slice(500).map((one) => outcome(checks.verify(one)))
    assert.deepEqual(new Set(await Promise.all(atOnce)), new Set(['unknown_key']))
  }

  await refuseAll()
  assert.equal(from.requestsFor(KEY_SET), 1) // the first token has just caused a fetch

  for (let fetches = 2; fetches < 5; fetches++) {
    clock.advance(29)
    await refuseAll()
    assert.equal(from.requestsFor(KEY_SET), fetches - 1)
    clock.advance(1)
    await refuseAll()
    assert.equal(from.requestsFor(KEY_SET), fetches)
  }
})

test('the cool-down also applies after a failed fetch', async () => {
  const from = await issuer()
  const checks = verifier(from, new ManualClock(), { cooldownSeconds: 10 })
  await checks.verify(CLIENT_TOKEN)
  from.failRequests(KEY_SET)

  for (const one of await tokensWithUnknownKeys(50))
    assert.equal(await outcome(checks.verify(one)), 'unknown_key')

  assert.equal(from.requestsFor(KEY_SET), 2)
  assert.equal(await outcome(checks.verify(CLIENT_TOKEN)), 'accepted')
})

test('a new key is found by all concurrent requests', async () => {
  const from = await issuer()
  const checks = verifier(from)
  await checks.verify(CLIENT_TOKEN)
  from.serveKeys({}, ['key-1', 'key-2'])
  from.delayMs = 20
  const next = await withKey('key-2')

  const all = await Promise.all(Array.from({ length: 20 }, () => outcome(checks.verify(next))))

  assert.deepEqual(new Set(all), new Set(['accepted']))
  assert.equal(from.requestsFor(KEY_SET), 2)
})

test('cached keys are used without a limit while fetches fail', async () => {
  const failures: unknown[] = []
  const from = await issuer()
  const clock = new ManualClock()
  const forever = await token({ status: undefined, exp: NOW + 1_000_000 })
  const onFetchFailure = (error: unknown, url: string): void => {
    failures.push([url, error])
    throw new Error('a listener that throws')
  }
  const checks = verifier(from, clock, { onFetchFailure })
  await checks.verify(forever)
  const answers = [
    () => new Response('down', { status: 503 }),
    () => new Response('<html>'),
    () => new Response('{"keys":{}}'),
    () => new Response(null, { status: 304 }), // without If-None-Match
    () => new Response(null, { status: 302, headers: { Location: KEY_SET } }),
    () => new Response('x'.repeat(256 * 1024 + 1)),
  ]

  for (const answer of answers) {
    from.answers.set(KEY_SET, answer)
    clock.advance(50_000)
    assert.equal(await outcome(checks.verify(forever)), 'accepted')
  }
  assert.equal(failures.length, answers.length)
  assert.equal(from.requestsFor(KEY_SET), answers.length + 1)
})

test('a failed fetch is retried after 5 s with keys and 1 s without', async () => {
  const from = await issuer()
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  from.failRequests(KEY_SET)
  const attempts = async (): Promise<number> => {
    for (let count = 0; count < 5; count++) await outcome(checks.verify(CLIENT_TOKEN))
    return from.requestsFor(KEY_SET)
  }

  assert.equal(await outcome(checks.verify(CLIENT_TOKEN)), 'keys_unavailable')
  assert.equal(await attempts(), 1)
  clock.advance(0.9)
  assert.equal(await attempts(), 1)
  clock.advance(0.1)
  assert.equal(await attempts(), 2)

  from.serveKeys()
  clock.advance(1)
  assert.equal(await outcome(checks.verify(CLIENT_TOKEN)), 'accepted')
  from.failRequests(KEY_SET)
  clock.advance(300)
  assert.equal(await attempts(), 4)
  clock.advance(4.9)
  assert.equal(await attempts(), 4)
  clock.advance(0.1)
  assert.equal(await attempts(), 5)
  from.serveKeys()
  clock.advance(5)
  assert.equal(await attempts(), 6)
  clock.advance(299)
  assert.equal(await attempts(), 6)
})

test('the error of a failed fetch is the cause of the refusal', async () => {
  const from = await issuer()
  from.failRequests(KEY_SET)
  await assert.rejects(verifier(from).verify(TOKEN), (error: Error) => {
    assert.match(String(error.cause), /connection refused/)
    return true
  })
})

test('a cached list is used until its exp while fetches fail', async () => {
  const from = await issuer({ exp: NOW + 600, ttl: 60 })
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  await checks.verify(TOKEN)
  from.failRequests(LIST)

  clock.advance(60)
  assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
  assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
  assert.equal(from.requestsFor(LIST), 2)
  clock.advance(4)
  await checks.verify(TOKEN)
  assert.equal(from.requestsFor(LIST), 2)
  clock.advance(1)
  await checks.verify(TOKEN)
  assert.equal(from.requestsFor(LIST), 3)

  clock.advance(600 - 65 + 29) // the last second of the leeway
  assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
  clock.advance(1)
  assert.equal(await outcome(checks.verify(TOKEN)), 'status_unavailable')

  from.serveList(await listToken({ iat: NOW + 630, exp: NOW + 9999 }, [7]))
  clock.advance(5)
  assert.equal(await outcome(checks.verify(TOKEN)), 'revoked')
})

test('a list without exp is used until its ttl has passed', async () => {
  const from = await issuer({ exp: undefined, ttl: 60 })
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  await checks.verify(TOKEN)
  from.failRequests(LIST)

  clock.advance(59)
  assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
  clock.advance(1)
  assert.equal(await outcome(checks.verify(TOKEN)), 'status_unavailable')
})

test('a token without a list is refused unless configured otherwise', async () => {
  const from = await issuer()
  from.failRequests(LIST)
  const clock = new ManualClock()
  const refusing = verifier(from, clock)
  const accepting = verifier(from, clock, { whenStatusUnavailable: 'accept' })

  assert.equal(await outcome(refusing.verify(TOKEN)), 'status_unavailable')
  assert.equal(await outcome(refusing.verify(CLIENT_TOKEN)), 'accepted')
  assert.equal(await outcome(accepting.verify(TOKEN)), 'accepted')

  from.serveList(await listToken({}, [7]))
  clock.advance(5)
  assert.equal(await outcome(accepting.verify(TOKEN)), 'revoked')
  const beyond = await token({ status: { status_list: { idx: 16, uri: LIST } } })
  assert.equal(await outcome(accepting.verify(beyond)), 'invalid_claim')
})

test('whenStatusUnavailable does not apply to missing keys', async () => {
  const from = await issuer()
  from.failRequests(KEY_SET)
  const accepting = verifier(from, new ManualClock(), { whenStatusUnavailable: 'accept' })

  assert.equal(await outcome(accepting.verify(TOKEN)), 'keys_unavailable')
})

test('a list signed by a new key causes a fetch of the key set', async () => {
  const from = await issuer()
  const checks = verifier(from)
  await checks.verify(CLIENT_TOKEN)
  from.serveKeys({}, ['key-1', 'key-2'])
  from.serveList(await listToken({}, [7], 'key-2'))

  assert.equal(await outcome(checks.verify(TOKEN)), 'revoked')
  assert.equal(from.requestsFor(KEY_SET), 2)
})

test('baseUrl is fetched instead of the issuer', async () => {
  for (const baseUrl of ['http://signet:8080/id', 'http://signet:8080/id/']) {
    const from = await issuer()
    from.serveKeys({}, ['key-1'], 'http://signet:8080/id/.well-known/jwks.json')
    from.serveList(await listToken(), {}, 'http://signet:8080/id/status/1')

    assert.equal(
      await outcome(verifier(from, new ManualClock(), { baseUrl }).verify(TOKEN)),
      'accepted',
    )
    assert.deepEqual(
      from.requests.map(({ url }) => url),
      ['http://signet:8080/id/.well-known/jwks.json', 'http://signet:8080/id/status/1'],
    )
  }
})

test('a trailing slash of the issuer is not doubled', async () => {
  const slashed = `${ISSUER}/`
  const uri = `${slashed}/status/1`
  const from = await issuer({ iss: slashed, sub: uri })
  const checks = verifier(from, new ManualClock(), { issuer: slashed })
  const status = { status_list: { idx: 7, uri } }

  assert.equal(await outcome(checks.verify(await token({ iss: slashed, status }))), 'accepted')
  assert.deepEqual(
    from.requests.map(({ url }) => url),
    [KEY_SET, LIST],
  )
})

test('only one trailing slash is removed', async () => {
  const from = await issuer()
  await outcome(verifier(from, new ManualClock(), { baseUrl: 'http://signet//' }).verify(TOKEN))

  assert.equal(from.requests[0]?.url, 'http://signet//.well-known/jwks.json')
})

test('at most 64 lists are cached', async () => {
  const from = await issuer()
  const checks = verifier(from)
  const use = async (number: number): Promise<void> => {
    const uri = `${ISSUER}/status/${String(number)}`
    from.serveList(await listToken({ sub: uri }), {}, uri)
    await checks.verify(await token({ status: { status_list: { idx: 0, uri } } }))
  }
  for (let number = 0; number < 64; number++) await use(number)
  await use(0)
  await use(64) // evicts list 1, the least recently used

  await use(0)
  await use(1)

  assert.equal(from.requestsFor(`${ISSUER}/status/0`), 1)
  assert.equal(from.requestsFor(`${ISSUER}/status/1`), 2)
})

test('a refresh of usable documents delays requests only briefly', async () => {
  for (const [url, seconds] of [
    [KEY_SET, 300],
    [LIST, 60],
  ] as const) {
    const from = await issuer()
    const clock = new ManualClock()
    const checks = verifier(from, clock)
    await checks.verify(TOKEN)
    clock.advance(seconds)
    const release = pendingResponse(from, url)
    const within = async (ms: number): Promise<void> => {
      const began = performance.now()
      assert.equal(await outcome(checks.verify(TOKEN)), 'accepted')
      assert.ok(performance.now() - began < ms, url)
    }

    await within(2000)
    for (let count = 0; count < 20; count++) await within(500) // the maximum wait is already over
    assert.equal(from.requestsFor(url), 2)

    if (url === LIST) from.serveList(await listToken({}, [7]))
    else from.serveKeys({}, ['key-2'])
    release(from.answers.get(url)!())
    await new Promise((resolve) => setTimeout(resolve, 50))
    const word = url === LIST ? 'revoked' : 'unknown_key'
    assert.equal(await outcome(checks.verify(TOKEN)), word)
  }
})

test('requests wait for documents that are unusable or missing', async () => {
  const from = await issuer({ exp: undefined })
  const clock = new ManualClock()
  const checks = verifier(from, clock)
  await checks.verify(TOKEN)
  const answered = async (url: string, answer: Response, one: string): Promise<string> => {
    const release = pendingResponse(from, url)
    setTimeout(release, 1200, answer)
    return outcome(checks.verify(one))
  }

  clock.advance(60)
  const list = new Response(await listToken({ exp: undefined, iat: NOW }, [7]))
  assert.equal(await answered(LIST, list, TOKEN), 'revoked')

  clock.advance(240)
  const keys = new Response(JSON.stringify({ keys: [jwk('key-2')] }))
  assert.equal(await answered(KEY_SET, keys, await withKey('key-2')), 'accepted')
})

test('a fetch times out even if it ignores the abort signal', async () => {
  const from = await issuer()
  from.answers.set(KEY_SET, () => new Promise<never>(() => undefined))
  const checks = verifier(from, new ManualClock(), { timeoutMs: 30 })

  assert.equal(await outcome(checks.verify(TOKEN)), 'keys_unavailable')
  assert.equal(from.requests[0]?.signal.aborted, true)
})

test('a slow body times out', async () => {
  const from = await issuer()
  const dripping = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      controller.enqueue(new Uint8Array([0x20]))
    },
  })
  from.answers.set(KEY_SET, () => new Response(dripping))
  const checks = verifier(from, new ManualClock(), { timeoutMs: 50 })

  assert.equal(await outcome(checks.verify(TOKEN)), 'keys_unavailable')
})

test('an oversized body is not read to its end', async () => {
  for (const [url, limit, refused] of [
    [KEY_SET, 256 * 1024, 'keys_unavailable'],
    [LIST, 2 * 1024 * 1024, 'status_unavailable'],
  ] as const) {
    const chunk = new Uint8Array(16 * 1024).fill(0x20)
    let sent = 0
    let cancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += chunk.length
        controller.enqueue(chunk)
      },
      cancel() {
        cancelled = true
      },
    })
    const from = await issuer()
    from.answers.set(url, () => new Response(endless))

    assert.equal(await outcome(verifier(from).verify(TOKEN)), refused)
    assert.ok(sent <= limit + 4 * chunk.length, String(sent))
    assert.ok(cancelled)
  }
})

test('redirects are not followed by the platform fetch', async (t) => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.url)
    response.writeHead(302, { Location: '/elsewhere' }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const baseUrl = `http://127.0.0.1:${String(port)}`
  const checks = new Verifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    baseUrl,
    clock: new ManualClock(),
  })

  assert.equal(await outcome(checks.verify(TOKEN)), 'keys_unavailable')
  assert.deepEqual(seen, ['/.well-known/jwks.json'])
})

test('invalid settings are rejected', () => {
  const make = (options: object) => () =>
    new Verifier({ issuer: ISSUER, audience: AUDIENCE, ...options })
  for (const options of [
    { issuer: '' },
    { audience: '' },
    { leewaySeconds: -1 },
    { leewaySeconds: NaN },
    { cooldownSeconds: Infinity },
    { timeoutMs: '3000 ms' },
    { whenStatusUnavailable: 'ignore' },
    { acceptTypJwt: 'false' },
    { baseUrl: 'signet' },
  ]) {
    assert.throws(make(options), JSON.stringify(options))
  }
})

test('the leeway is 30 seconds by default and at most 60', async () => {
  for (const [leewaySeconds, cut] of [
    [undefined, 30],
    [0, 0],
    [60, 60],
    [3600, 60],
  ] as const) {
    const from = await issuer()
    const clock = new ManualClock()
    const checks = verifier(from, clock, { leewaySeconds })
    const brief = await token({ status: undefined, exp: NOW + 10 })

    clock.advance(10 + cut - 1)
    assert.equal(await outcome(checks.verify(brief)), 'accepted')
    clock.advance(1)
    assert.equal(await outcome(checks.verify(brief)), 'expired')
  }
})
