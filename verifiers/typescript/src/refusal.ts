import { VerifyError } from './errors.js'

/** The body of every refusal. It says what the caller may do, never which check failed. */
export interface RefusalBody {
  readonly error:
    | 'invalid_request'
    | 'invalid_token'
    | 'insufficient_scope'
    | 'forbidden'
    | 'temporarily_unavailable'
  readonly error_description: string
}

/** Seconds after which a caller may try again: what a failed fetch is retried after. */
const RETRY_AFTER = '5'

/** RFC 6749 §3.3: what a scope is made of, and so what may stand between the quotes of a challenge. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * An answer to a request that is not served (RFC 6750 §3): status, headers and body as they are to
 * be sent. `cause` is the {@link VerifyError}, for your log.
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

  /** The token was refused, or could not be judged. */
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

  /** The token is valid, and another user's or nobody's. No challenge: a new token cannot help. */
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

  /** For frameworks that speak `fetch`. */
  toResponse(): Response {
    return new Response(JSON.stringify(this.body), {
      status: this.status,
      headers: { ...this.headers, 'Content-Type': 'application/json' },
    })
  }
}

/**
 * Throws at a scope that no token can have.
 * @throws {TypeError}
 */
export function checkScopes(scopes: readonly string[]): void {
  const wrong = scopes.find((scope) => !SCOPE.test(scope))
  if (wrong !== undefined) throw new TypeError(`not a scope: ${JSON.stringify(wrong)}`)
}
