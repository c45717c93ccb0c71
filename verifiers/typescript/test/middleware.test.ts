/** Every row of the table of responses in `verifiers/README.md`, with the real frameworks. */

import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { Refusal, accessToken, authorize, bearerToken } from '@signet/verifier'
import type { Verifier } from '@signet/verifier'
import * as forExpress from '@signet/verifier/express'
import * as forFastify from '@signet/verifier/fastify'
import * as forHono from '@signet/verifier/hono'
import { ManualClock, KEY_SET, LIST, USER, issuer, listToken, token, verifier } from './harness.js'

/** Starts a service with the same paths in each framework: `/me`, `/admin` and others. */
type Service = (
  checks: Pick<Verifier, 'verify'>,
  log: (refusal: Refusal) => void,
) => Promise<{
  get(path: string, headers?: Record<string, string>): Promise<Response>
  close(): unknown
}>

const broken: Pick<Verifier, 'verify'> = { verify: () => Promise.reject(new Error('a defect')) }

const services: Record<string, Service> = {
  express: async (checks, onRefusal) => {
    const { accessToken, authenticate, requireScopes, requireUser } = forExpress
    const app = express()
    app.set('env', 'test') // Express then does not print errors
    const guard = authenticate(checks, { onRefusal })
    app.get('/me', guard, (request, response) => {
      response.json({ user: accessToken(request).userId ?? null })
    })
    app.get('/users/:user_id/tasks', guard, requireUser(), (_, response) => void response.json([]))
    app.get('/unnamed/:id', guard, requireUser(), (_, response) => void response.json([]))
    app.get(
      '/admin',
      authenticate(checks, { scopes: ['tasks:read', 'admin'], onRefusal }),
      (_, response) => {
        response.json([])
      },
    )
    app.get('/write', guard, requireScopes('tasks:write'), (_, response) => void response.json([]))
    app.get(
      '/read',
      guard,
      requireScopes('tasks:read', 'openid'),
      (_, response) => void response.json([]),
    )
    app.get('/unguarded/:user_id', requireUser(), (_, response) => void response.json([]))
    app.get('/broken', authenticate(broken), (_, response) => void response.json([]))
    const server = await new Promise<ReturnType<typeof app.listen>>((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
    })
    const { port } = server.address() as AddressInfo
    return {
      get: (path, headers = {}) => fetch(`http://127.0.0.1:${String(port)}${path}`, { headers }),
      close: () => server.close(),
    }
  },

  fastify: async (checks, onRefusal) => {
    const { accessToken, authenticate, requireScopes, requireUser } = forFastify
    const app = fastify()
    const guard = authenticate(checks, { onRefusal })
    app.get('/me', { onRequest: guard }, (request) => ({
      user: accessToken(request).userId ?? null,
    }))
    app.get('/users/:user_id/tasks', { onRequest: [guard, requireUser()] }, () => [])
    app.get('/unnamed/:id', { onRequest: [guard, requireUser()] }, () => [])
    app.get(
      '/admin',
      { onRequest: authenticate(checks, { scopes: ['tasks:read', 'admin'], onRefusal }) },
      () => [],
    )
    app.get('/write', { onRequest: guard, preHandler: requireScopes('tasks:write') }, () => [])
    app.get('/read', { onRequest: [guard, requireScopes('tasks:read', 'openid')] }, () => [])
    app.get('/unguarded/:user_id', { onRequest: requireUser() }, () => [])
    app.get('/broken', { onRequest: authenticate(broken) }, () => [])
    const address = await app.listen({ port: 0, host: '127.0.0.1' })
    return {
      get: (path, headers = {}) => fetch(address + path, { headers }),
      close: () => app.close(),
    }
  },

  hono: (checks, onRefusal) => {
    const { accessToken, authenticate, requireScopes, requireUser } = forHono
    const app = new Hono()
    const guard = authenticate(checks, { onRefusal })
    app.onError((_, c) => c.text('a defect', 500))
    app.get('/me', guard, (c) => c.json({ user: accessToken(c).userId ?? null }))
    app.get('/users/:user_id/tasks', guard, requireUser(), (c) => c.json([]))
    app.get('/unnamed/:id', guard, requireUser(), (c) => c.json([]))
    app.get('/admin', authenticate(checks, { scopes: ['tasks:read', 'admin'], onRefusal }), (c) =>
      c.json([]),
    )
    app.get('/write', guard, requireScopes('tasks:write'), (c) => c.json([]))
    app.get('/read', guard, requireScopes('tasks:read', 'openid'), (c) => c.json([]))
    app.get('/unguarded/:user_id', requireUser(), (c) => c.json([]))
    app.get('/broken', authenticate(broken), (c) => c.json([]))
    return Promise.resolve({
      get: (path, headers = {}) => Promise.resolve(app.request(path, { headers })),
      close: () => undefined,
    })
  },
}

const bearer = (value: string): Record<string, string> => ({ Authorization: `Bearer ${value}` })
const MINE = `/users/${USER}/tasks`
const VALID = await token()
const CLIENT = await token({ user_id: undefined, status: undefined, sub: USER })
const EXPIRED = await token({ exp: 1 })
const REVOKED = await token({ status: { status_list: { idx: 3, uri: LIST } } })

const INVALID_TOKEN = {
  status: 401,
  challenge: 'Bearer error="invalid_token"',
  error: 'invalid_token',
  retryAfter: null,
}

async function answerOf(response: Response): Promise<object> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  const {
    error,
    error_description: sentence,
    ...rest
  } = (await response.json()) as Record<string, string>
  assert.deepEqual(rest, {})
  assert.match(sentence ?? '', /^[A-Z].{10,}/)
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    error,
    retryAfter: response.headers.get('retry-after'),
  }
}

for (const [name, start] of Object.entries(services)) {
  const service = async (t: TestContext, log: Refusal[] = []) => {
    const from = await issuer()
    from.serveList(await listToken({}, [3]))
    const running = await start(verifier(from, new ManualClock()), (refusal) => log.push(refusal))
    t.after(() => running.close())
    return { ...running, from, log }
  }

  test(`${name}: a valid token is accepted`, async (t) => {
    const { get, log } = await service(t)

    assert.deepEqual(await (await get('/me', bearer(VALID))).json(), { user: USER })
    assert.deepEqual(await (await get('/me', bearer(CLIENT))).json(), { user: null })
    for (const path of [MINE, '/read']) {
      assert.equal((await get(path, bearer(VALID))).status, 200, path)
    }
    assert.deepEqual(log, [])
  })

  test(`${name}: a request without a bearer token gets a challenge`, async (t) => {
    const { get, log } = await service(t)
    const cookie = { Cookie: `access_token=${VALID}` }
    for (const headers of [{}, { Authorization: 'Basic YTpi' }, cookie]) {
      assert.deepEqual(await answerOf(await get('/me', headers as Record<string, string>)), {
        status: 401,
        challenge: 'Bearer',
        error: 'invalid_request',
        retryAfter: null,
      })
    }
    assert.deepEqual(new Set(log.map(({ cause }) => cause)), new Set([undefined]))
  })

  test(`${name}: the reason of a refusal is logged but not sent`, async (t) => {
    const { get, log } = await service(t)
    const answers = new Set<string>()
    for (const refused of [EXPIRED, REVOKED, 'not-a-token', `${VALID}, ${VALID}`]) {
      const response = await get('/me', bearer(refused))
      answers.add(await response.clone().text())
      assert.deepEqual(await answerOf(response), INVALID_TOKEN)
    }
    assert.equal(answers.size, 1)
    const codes = log.map(({ cause }) => (cause as { code?: string }).code)
    assert.deepEqual(codes, ['expired', 'revoked', 'malformed', 'malformed'])
  })

  test(`${name}: a challenge names the missing scope`, async (t) => {
    const { get } = await service(t)
    for (const [path, scope] of [
      ['/admin', 'tasks:read admin'],
      ['/write', 'tasks:write'],
    ]) {
      assert.deepEqual(await answerOf(await get(path ?? '', bearer(VALID))), {
        status: 403,
        challenge: `Bearer error="insufficient_scope", scope="${scope ?? ''}"`,
        error: 'insufficient_scope',
        retryAfter: null,
      })
    }
  })

  test(`${name}: paths of other users are forbidden`, async (t) => {
    const { get } = await service(t)
    for (const [path, who] of [
      ['/users/someone-else/tasks', VALID],
      [`/users/${USER.toUpperCase()}x/tasks`, VALID],
      [MINE, CLIENT],
      [`/unnamed/${USER}`, VALID], // the route has no user_id
    ] as const) {
      assert.deepEqual(await answerOf(await get(path, bearer(who))), {
        status: 403,
        challenge: null,
        error: 'forbidden',
        retryAfter: null,
      })
    }
    assert.deepEqual(await answerOf(await get(MINE, bearer(EXPIRED))), INVALID_TOKEN)
  })

  test(`${name}: missing keys or status list gets a 503`, async (t) => {
    for (const url of [KEY_SET, LIST]) {
      const { get, from } = await service(t)
      from.failRequests(url)
      assert.deepEqual(await answerOf(await get('/me', bearer(VALID))), {
        status: 503,
        challenge: null,
        error: 'temporarily_unavailable',
        retryAfter: '5',
      })
    }
  })

  test(`${name}: a defect gets a 500`, async (t) => {
    const { get } = await service(t)
    assert.equal((await get('/broken', bearer(VALID))).status, 500)
    assert.equal((await get(`/unguarded/${USER}`, bearer(VALID))).status, 500)
  })
}

test('bearerToken returns undefined without a header', () => {
  assert.equal(bearerToken(null), undefined)
  assert.equal(bearerToken(undefined), undefined)
})

test('accessToken throws for a request without authentication', () => {
  assert.throws(() => accessToken({}), /authenticate/)
})

test('a refusal converts to a Response', async () => {
  const refusal = await authorize(verifier(await issuer()), null).catch((error: unknown) => error)

  assert.ok(refusal instanceof Refusal)
  assert.equal(refusal.toResponse().status, 401)
})

test('scopes with invalid syntax are rejected at start', () => {
  for (const scope of ['', 'a b', 'a"', 'a\\', 'a\r\nSet-Cookie: b', 'é']) {
    assert.throws(() => forExpress.requireScopes(scope), TypeError)
    assert.throws(() => forFastify.authenticate(broken, { scopes: [scope] }), TypeError)
    assert.throws(() => forHono.requireScopes('openid', scope), TypeError)
  }
})
