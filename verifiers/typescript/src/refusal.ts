import { VerifyError } from './errors.js'

/** The body of every refusal. It never says which check failed. */
export interface RefusalBody {
  readonly error:
    | 'invalid_request'
    | 'invalid_token'
    | 'insufficient_scope'
    | 'forbidden'
    | 'temporarily_unavailable'
  readonly error_description: string
}

/** Seconds until a retry is useful: the pause after a failed fetch. */
const RETRY_AFTER = '5'

/** The syntax of a scope (RFC 6749 §3.3), which is safe inside a quoted string of a challenge. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * The response to a refused request (RFC 6750 §3): status, headers and body. `cause` is the {@link
 * VerifyError}, for your log.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'

  private constructor(
    readonly status: 401 | 403 | 503,
    readonly headers: Readonly<Record<string, string>>,
    readonly body: RefusalBody,
    cause?: VerifyError,
  ) {
    super(body.error_description, cause && { cause })
  }

  /** There is no `Authorization: Bearer`. */
  static noToken(): Refusal {
    return new Refusal(
      401,
      { 'WWW-Authenticate': 'Bearer' },
      {
        error: 'invalid_request',
        error_description: 'An access token is needed',
      },
    )
  }

  /** The token was refused, or could not be verified. */
  static of(cause: VerifyError): Refusal {
    if (cause.isUnavailable) {
      return new Refusal(
        503,
        { 'Retry-After': RETRY_AFTER },
        {
          error: 'temporarily_unavailable',
          error_description: 'Access tokens cannot be checked at the moment',
        },
        cause,
      )
    }
    return new Refusal(
      401,
      { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
      {
        error: 'invalid_token',
        error_description: 'The access token is not valid',
      },
      cause,
    )
  }

  /** The token lacks one of the scopes. */
  static insufficientScope(scopes: readonly string[]): Refusal {
    checkScopes(scopes)
    const challenge = `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`
    return new Refusal(
      403,
      { 'WWW-Authenticate': challenge },
      {
        error: 'insufficient_scope',
        error_description: 'The access token lacks a scope that is needed here',
      },
    )
  }

  /** The token is valid but belongs to another user or to no user. A new token cannot help. */
  static forbidden(): Refusal {
    return new Refusal(
      403,
      {},
      {
        error: 'forbidden',
        error_description: 'The access token belongs to another user',
      },
    )
  }

  /** For frameworks that use `Response` objects. */
  toResponse(): Response {
    return new Response(JSON.stringify(this.body), {
      status: this.status,
      headers: { ...this.headers, 'Content-Type': 'application/json' },
    })
  }
}

/**
 * Throws if a scope has invalid syntax.
 * @throws {TypeError}
 */
export function checkScopes(scopes: readonly string[]): void {
  const wrong = scopes.find((scope) => !SCOPE.test(scope))
  if (wrong !== undefined) throw new TypeError(`not a scope: ${JSON.stringify(wrong)}`)
}
