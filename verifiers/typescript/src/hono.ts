/**
 * Middleware for Hono. Its types declare only the used parts of a context, so that this module
 * compiles and runs without Hono.
 */

import { accessToken, authorize, checkUser, remember } from './guard.js'
import type { GuardOptions } from './guard.js'
import { Refusal, checkScopes } from './refusal.js'
import type { Verifier } from './verifier.js'

export { accessToken }

export interface HonoContext {
  readonly req: {
    header(name: string): string | undefined
    param(name: string): string | undefined
  }
}

export type HonoMiddleware = (
  context: HonoContext,
  next: () => Promise<void>,
) => Promise<Response | undefined>

/** Forwards requests with a valid token, which `accessToken(c)` returns to later handlers. */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options: GuardOptions<HonoContext> = {},
): HonoMiddleware {
  const { scopes = [], onRefusal } = options
  checkScopes(scopes)
  return guard(async (context) => {
    try {
      remember(context, await authorize(verifier, context.req.header('Authorization'), scopes))
    } catch (error) {
      if (error instanceof Refusal) onRefusal?.(error, context)
      throw error
    }
  })
}

/**
 * After {@link authenticate}: requires a token of the user in the path (`/users/:user_id/tasks`).
 */
export function requireUser(parameter = 'user_id'): HonoMiddleware {
  return guard((context) => {
    checkUser(context, context.req.param(parameter))
  })
}

/** After {@link authenticate}: requires a token with all these scopes. */
export function requireScopes(...scopes: readonly string[]): HonoMiddleware {
  checkScopes(scopes)
  return guard((context) => {
    accessToken(context).requireScopes(...scopes)
  })
}

function guard(check: (context: HonoContext) => void | Promise<void>): HonoMiddleware {
  return async (context, next) => {
    try {
      await check(context)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return error.toResponse()
    }
    await next()
    return undefined
  }
}
