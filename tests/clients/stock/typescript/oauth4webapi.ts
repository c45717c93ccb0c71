/** The flows on oauth4webapi, which leaves no step out: it has one function for each request, and
 * one for each response. Prints a line for each: method of authentication, step, outcome. */

import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

import type { Registered } from "./arrangement.js";
import { SCOPE, arrangement, browse, done, privateKey, refused, report } from "./arrangement.js";

const insecure = { [oauth.allowInsecureRequests]: true } as const;

const issuer = new URL(arrangement.issuer);
const openId = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oidc" });
const server = await oauth.processDiscoveryResponse(issuer, openId);
const rfc8414 = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oauth2" });
assert.deepEqual(await oauth.processDiscoveryResponse(issuer, rfc8414), server);

for (const registered of arrangement.clients) {
  await flow(registered);
}
done();

async function flow(registered: Registered): Promise<void> {
  const client: oauth.Client = { client_id: registered.client_id };
  const authentication = await authenticationOf(registered);

  await refused(registered, "denied", logIn(registered, client, authentication, "deny"));
  const tokens = await logIn(registered, client, authentication, "allow");
  assert(tokens.refresh_token !== undefined && tokens.id_token !== undefined);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  assert(claims !== undefined && claims.auth_time !== undefined);
  report(registered, "logged_in");

  // As a service does with what it is shown (RFC 9068).
  const shown = new Request(`${arrangement.api}/tasks`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  const access = await oauth.validateJwtAccessToken(server, shown, arrangement.api, insecure);
  assert.equal(access.client_id, registered.client_id);
  assert.equal(access.sub, claims.sub);

  const asked = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
  const user = await oauth.processUserInfoResponse(server, client, claims.sub, asked);
  assert.equal(user.name, "Ada Lovelace");
  report(registered, "userinfo", String(user.email));

  const refresh = async (token: string) => {
    const response = await oauth.refreshTokenGrantRequest(
      server, client, authentication, token, insecure,
    );
    return oauth.processRefreshTokenResponse(server, client, response);
  };
  const renewed = await refresh(tokens.refresh_token);
  assert(renewed.refresh_token !== undefined);
  assert.equal(oauth.getValidatedIdTokenClaims(renewed)?.sub, claims.sub);
  report(registered, "refreshed");

  const introspect = async () => {
    const response = await oauth.introspectionRequest(
      server, client, authentication, renewed.access_token, insecure,
    );
    const { active } = await oauth.processIntrospectionResponse(server, client, response);
    report(registered, "introspected", active ? "active" : "inactive");
  };
  if (registered.method !== "none") await introspect();
  const revoked = await oauth.revocationRequest(
    server, client, authentication, renewed.refresh_token, insecure,
  );
  await oauth.processRevocationResponse(revoked);
  report(registered, "revoked");
  await refused(registered, "refreshed", refresh(renewed.refresh_token));
  if (registered.method !== "none") {
    await introspect();
    const scope = { scope: "tasks:read" };
    const response = await oauth.clientCredentialsGrantRequest(
      server, client, authentication, scope, insecure,
    );
    const own = await oauth.processClientCredentialsResponse(server, client, response);
    assert.equal(own.scope, "tasks:read");
    report(registered, "client_credentials");
  }

  assert(server.end_session_endpoint !== undefined);
  const logout = new URL(server.end_session_endpoint);
  logout.search = new URLSearchParams({
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: arrangement.post_logout_redirect_uri,
    state: "over",
  }).toString();
  const arrived = await browse("allow", logout);
  assert.equal(arrived.href, `${arrangement.post_logout_redirect_uri}?state=over`);
  report(registered, "logged_out");
}

async function logIn(
  registered: Registered,
  client: oauth.Client,
  authentication: oauth.ClientAuth,
  decision: "allow" | "deny",
): Promise<oauth.TokenEndpointResponse> {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const expectedNonce = oauth.generateRandomNonce();
  assert(server.authorization_endpoint !== undefined);
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: registered.redirect_uri,
    scope: SCOPE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce: expectedNonce,
  }).toString();
  const arrived = await browse(decision, url);
  const callback = oauth.validateAuthResponse(server, client, arrived, state);
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, callback, registered.redirect_uri, verifier,
    insecure,
  );
  const expected = { expectedNonce, requireIdToken: true, maxAge: 600 };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return tokens;
}

async function authenticationOf(registered: Registered): Promise<oauth.ClientAuth> {
  switch (registered.method) {
    case "client_secret_basic":
      return oauth.ClientSecretBasic(registered.secret ?? "");
    case "client_secret_post":
      return oauth.ClientSecretPost(registered.secret ?? "");
    case "private_key_jwt":
      return oauth.PrivateKeyJwt(await privateKey(registered));
    case "none":
      return oauth.None();
  }
}
