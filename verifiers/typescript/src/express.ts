/**
 * Middleware for Express. Its types declare only the used parts of a request, so that this module
 * compiles and runs without Express and its types.
 */

import { accessToken, authorizationOf, authorize, checkUser, remember } from './guard.js'
import type { GuardOptions, NodeFields } from './guard.js'
import { Refusal, checkScopes } from './refusal.js'
import type { Verifier } from './verifier.js'

export { accessToken }

export interface ExpressRequest extends NodeFields {
  readonly params: object
}

export interface ExpressResponse {
  status(code: number): unknown
  set(headers: Record<string, string>): unknown
  json(body: unknown): unknown
}

export type ExpressHandler = (
  request: ExpressRequest,
  response: ExpressResponse,
  next: (error?: unknown) => void,
) => void

/** Forwards requests with a valid token, which {@link accessToken} returns to later handlers. */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options: GuardOptions<ExpressRequest> = {},
): ExpressHandler {
  const { scopes = [], onRefusal } = options
  checkScopes(scopes)
  return (request, response, next) => {
    authorize(verifier, authorizationOf(request), scopes).then(
      (token) => {
        remember(request, token)
        next()
      },
      (error: unknown) => {
        if (error instanceof Refusal) onRefusal?.(error, request)
        answer(error, response, next)
      },
    )
  }
}

/**
 * After {@link authenticate}: requires a token of the user in the path (`/users/:user_id/tasks`).
 */
export function requireUser(parameter = 'user_id'): ExpressHandler {
  return guard((request) => {
    checkUser(request, (request.params as Record<string, unknown>)[parameter])
  })
}

/** After {@link authenticate}: requires a token with all these scopes. */
export function requireScopes(...scopes: readonly string[]): ExpressHandler {
  checkScopes(scopes)
  return guard((request) => {
    accessToken(request).requireScopes(...scopes)
  })
}

function guard(check: (request: ExpressRequest) => void): ExpressHandler {
  return (request, response, next) => {
    try {
      check(request)
    } catch (error) {
      answer(error, response, next)
      return
    }
    next()
  }
}

function answer(error: unknown, response: ExpressResponse, next: (error?: unknown) => void): void {
  if (!(error instanceof Refusal)) {
    next(error)
    return
  }
  response.status(error.status)
  response.set(error.headers)
  response.json(error.body)
}
