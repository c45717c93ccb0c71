import { Refusal } from './refusal.js'

/** The claims of an {@link AccessToken}. Times are in seconds since the Unix epoch. */
export interface AccessTokenClaims {
  readonly subject: string
  readonly userId: string | undefined
  readonly email: string | undefined
  readonly clientId: string
  readonly sessionId: string | undefined
  readonly scope: string
  readonly tokenId: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly authTime: number | undefined
}

/**
 * The claims of an access token that passed every check.
 *
 * It contains no secret, because the token itself is not stored. The email address is personal
 * data, though.
 */
export class AccessToken implements AccessTokenClaims {
  /** `sub`: the account, or the client itself for client credentials. */
  readonly subject: string
  /** `user_id`: the account whose token it is; `undefined` for client credentials. */
  readonly userId: string | undefined
  /** `email` at the time of issue. It may change: do not identify users by it. */
  readonly email: string | undefined
  /** `client_id`: the client that requested the token (RFC 9068 §2.2). */
  readonly clientId: string
  /** `sid`: the session for which the token was issued, if any. */
  readonly sessionId: string | undefined
  /** `scope`, values separated by spaces; empty if the claim is absent. */
  readonly scope: string
  /** `jti`: unique to this token. */
  readonly tokenId: string
  /** `iat`, in seconds since the Unix epoch. */
  readonly issuedAt: number
  /** `exp`, in seconds since the Unix epoch; the leeway is not added. */
  readonly expiresAt: number
  /** `auth_time`: when the user last authenticated, in seconds since the Unix epoch. */
  readonly authTime: number | undefined

  /** Use it only in tests of your own code; otherwise a {@link Verifier} creates tokens. */
  constructor(claims: AccessTokenClaims) {
    this.subject = claims.subject
    this.userId = claims.userId
    this.email = claims.email
    this.clientId = claims.clientId
    this.sessionId = claims.sessionId
    this.scope = claims.scope
    this.tokenId = claims.tokenId
    this.issuedAt = claims.issuedAt
    this.expiresAt = claims.expiresAt
    this.authTime = claims.authTime
    Object.freeze(this)
  }

  /**
   * Whether this is a token of this user, compared character by character. A client credentials
   * token belongs to no user, not even to its own subject.
   */
  isUser(userId: string): boolean {
    return this.userId !== undefined && this.userId === userId
  }

  /** Whether `scope` lists exactly this value (RFC 6749 §3.3). */
  hasScope(scope: string): boolean {
    return scope !== '' && this.scope.split(' ').includes(scope)
  }

  /**
   * Throws unless this is a token of this user. For paths with a user id, such as
   * `/users/{id}/tasks`.
   * @throws {Refusal} 403 `forbidden`
   */
  requireUser(userId: string): void {
    if (!this.isUser(userId)) throw Refusal.forbidden()
  }

  /**
   * Throws unless the token has all these scopes.
   * @throws {Refusal} 403 `insufficient_scope`
   */
  requireScopes(...scopes: readonly string[]): void {
    if (!scopes.every((scope) => this.hasScope(scope))) throw Refusal.insufficientScope(scopes)
  }
}
