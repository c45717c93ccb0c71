/** The shared values of the header field `Authorization`; see verifiers/vectors/README.md. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { Verifier } from '@signet/verifier'
import * as forExpress from '@signet/verifier/express'
import * as forFastify from '@signet/verifier/fastify'
import * as forHono from '@signet/verifier/hono'
import { issuer, token, verifier } from './harness.js'

interface Case {
  name: string
  authorization: string[]
  query?: string
  body?: string
  server_may_refuse?: boolean
  expect: object
}

const file = new URL('../../vectors/authorization.json', import.meta.url)
const { cases } = JSON.parse(
  readFileSync(file, 'utf8').replaceAll('{token}', await token()),
) as { cases: Case[] }

/** Sends the request of a case. `undefined`: the server has refused it. */
type Send = (one: Case) => Promise<Response | undefined>

interface Running {
  send: Send
  close(): unknown
}

const services: Record<string, (checks: Verifier) => Promise<Running>> = {
  express: async (checks) => {
    const app = express()
    app.all('/me', forExpress.authenticate(checks), (_, response) => void response.json([]))
    const server = await new Promise<ReturnType<typeof app.listen>>((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
    })
    return { send: sendTo(server.address()), close: () => server.close() }
  },

  fastify: async (checks) => {
    const app = fastify()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.all('/me', { onRequest: forFastify.authenticate(checks) }, () => [])
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { send: sendTo(app.server.address()), close: () => app.close() }
  },

  /** Without a server: `Headers` combines several fields, and refuses a few characters. */
  hono: (checks) => {
    const app = new Hono()
    app.all('/me', forHono.authenticate(checks), (c) => c.json([]))
    const send: Send = async (one) => {
      const headers = new Headers()
      try {
        for (const value of one.authorization) headers.append('Authorization', value)
      } catch {
        return undefined
      }
      if (one.body === undefined) return app.request(`/me?${one.query ?? ''}`, { headers })
      return app.request('/me', { method: 'POST', headers, body: new URLSearchParams(one.body) })
    }
    return Promise.resolve({ send, close: () => undefined })
  },
}

/** Sends requests through a socket, because an HTTP client changes or refuses some values. */
function sendTo(address: unknown): Send {
  const { port } = address as { port: number }
  return async ({ authorization, query = '', body = '' }) => {
    const socket = connect(port, '127.0.0.1')
    const method = body === '' ? 'GET' : 'POST'
    const head = [`${method} /me?${query} HTTP/1.0`, 'Host: service']
    if (body !== '') {
      head.push('Content-Type: application/x-www-form-urlencoded')
      head.push(`Content-Length: ${String(body.length)}`)
    }
    for (const value of authorization) head.push(`Authorization: ${value}`)
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1')
    let received = ''
    for await (const piece of socket.setEncoding('latin1')) received += String(piece)
    return responseOf(received)
  }
}

function responseOf(received: string): Response | undefined {
  const [head = '', body] = received.split('\r\n\r\n')
  const [statusLine = '', ...fields] = head.split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  if (status === 400 || status === 431) return undefined
  const headers = fields.map((field) => field.split(/: (.*)/s).slice(0, 2) as [string, string])
  return new Response(body, { status, headers })
}

for (const [name, start] of Object.entries(services)) {
  test(`${name}: every shared Authorization field gets the expected response`, async (t) => {
    assert.ok(cases.length > 50)
    const running = await start(verifier(await issuer()))
    t.after(() => running.close())
    for (const one of cases) {
      await t.test(one.name, async () => {
        const response = await running.send(one)
        if (response === undefined) {
          assert.ok(one.server_may_refuse, 'the server refuses the request')
          return
        }
        assert.deepEqual(await outcome(response), one.expect)
      })
    }
  })
}

async function outcome(response: Response): Promise<object> {
  const { status, headers } = response
  if (status === 200) return { status }
  const { error } = (await response.json()) as { error: unknown }
  return { status, error, www_authenticate: headers.get('WWW-Authenticate') }
}
