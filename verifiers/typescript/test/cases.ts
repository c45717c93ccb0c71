/** Runs a case of verifiers/vectors, as its README.md specifies. */

import { Verifier, VerifyError } from '@signet/verifier'

/** The members that all cases of a file share. */
export interface Shared {
  issuer: string
  audience: string
  now: number
  leeway_seconds: number
  jwks: unknown
}

export interface Case extends Partial<Shared> {
  token: string
  status_lists?: Record<string, string | null>
  accept_typ_jwt?: boolean
}

/** Verifies the token of a case, and returns the result in the format of `expect`. */
export async function verdictOn(shared: Shared, one: Case): Promise<Record<string, unknown>> {
  try {
    const token = await verifierOf({ ...shared, ...one }).verify(one.token)
    return {
      subject: token.subject,
      user_id: token.userId ?? null,
      client_id: token.clientId,
      session_id: token.sessionId ?? null,
      scope: token.scope,
      email: token.email ?? null,
      token_id: token.tokenId,
      issued_at: token.issuedAt,
      expires_at: token.expiresAt,
      auth_time: token.authTime ?? null,
    }
  } catch (error) {
    if (error instanceof VerifyError) return { error: error.code }
    throw error
  }
}

function verifierOf(one: Shared & Case): Verifier {
  const keySet = `${one.issuer.replace(/\/+$/, '')}/.well-known/jwks.json`
  return new Verifier({
    issuer: one.issuer,
    audience: one.audience,
    acceptTypJwt: one.accept_typ_jwt,
    leewaySeconds: one.leeway_seconds,
    clock: { unixSeconds: () => one.now, monotonicMs: () => 0 },
    fetch: (url) => {
      if (url === keySet) {
        const keys = typeof one.jwks === 'string' ? one.jwks : JSON.stringify(one.jwks)
        return Promise.resolve(new Response(keys))
      }
      const list = one.status_lists?.[url]
      const headers = { 'Content-Type': 'application/statuslist+jwt' }
      return Promise.resolve(
        list ? new Response(list, { headers }) : new Response('', { status: 404 }),
      )
    },
  })
}
