/**
 * Hooks for Fastify: `onRequest` or `preHandler` of a route, a plugin or the whole application.
 * Their types declare only the used parts of a request, so that this module compiles and runs
 * without Fastify.
 */

import { accessToken, authorizationOf, authorize, checkUser, remember } from './guard.js'
import type { GuardOptions } from './guard.js'
import { Refusal, checkScopes } from './refusal.js'
import type { Verifier } from './verifier.js'

export { accessToken }

export interface FastifyRequestLike {
  readonly headers: { readonly authorization?: string | undefined }
  readonly raw?: { readonly rawHeaders?: readonly string[] | undefined } | undefined
  readonly params: unknown
}

export interface FastifyReplyLike {
  code(status: number): unknown
  headers(headers: Record<string, string>): unknown
  send(body: unknown): unknown
}

export type FastifyHook = (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>

/** Forwards requests with a valid token, which {@link accessToken} returns to later handlers. */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options: GuardOptions<FastifyRequestLike> = {},
): FastifyHook {
  const { scopes = [], onRefusal } = options
  checkScopes(scopes)
  return guard(async (request) => {
    try {
      const { headers, raw } = request
      const authorization = authorizationOf({ headers, rawHeaders: raw?.rawHeaders })
      remember(request, await authorize(verifier, authorization, scopes))
    } catch (error) {
      if (error instanceof Refusal) onRefusal?.(error, request)
      throw error
    }
  })
}

/**
 * After {@link authenticate}: requires a token of the user in the path (`/users/:user_id/tasks`).
 */
export function requireUser(parameter = 'user_id'): FastifyHook {
  return guard((request) => {
    checkUser(request, (request.params as Record<string, unknown>)[parameter])
  })
}

/** After {@link authenticate}: requires a token with all these scopes. */
export function requireScopes(...scopes: readonly string[]): FastifyHook {
  checkScopes(scopes)
  return guard((request) => {
    accessToken(request).requireScopes(...scopes)
  })
}

function guard(check: (request: FastifyRequestLike) => void | Promise<void>): FastifyHook {
  return async (request, reply) => {
    try {
      await check(request)
      return undefined
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      reply.code(error.status)
      reply.headers({ ...error.headers })
      reply.send({ ...error.body })
      return reply
    }
  }
}
