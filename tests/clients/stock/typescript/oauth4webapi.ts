/** Runs the flows with oauth4webapi, which has a function for each request and for each response.
 * Prints authentication method, step and outcome of each. */

import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

import type { Registration } from "./parameters.js";
import {
  SCOPE, browse, expectError, finish, parameters, privateKey, report,
} from "./parameters.js";

const insecure = { [oauth.allowInsecureRequests]: true } as const;

const issuer = new URL(parameters.issuer);
const openId = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oidc" });
const server = await oauth.processDiscoveryResponse(issuer, openId);
const rfc8414 = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oauth2" });
assert.deepEqual(await oauth.processDiscoveryResponse(issuer, rfc8414), server);

for (const registration of parameters.clients) {
  await flow(registration);
}
finish();

async function flow(registration: Registration): Promise<void> {
  const client: oauth.Client = { client_id: registration.client_id };
  const authentication = await authenticationOf(registration);

  await expectError(registration, "denied", logIn(registration, client, authentication, "deny"));
  const tokens = await logIn(registration, client, authentication, "allow");
  assert(tokens.refresh_token !== undefined && tokens.id_token !== undefined);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  assert(claims !== undefined && claims.auth_time !== undefined);
  report(registration, "logged_in");

  // Verifies the access token as a resource server does (RFC 9068).
  const request = new Request(`${parameters.api}/tasks`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  const access = await oauth.validateJwtAccessToken(server, request, parameters.api, insecure);
  assert.equal(access.client_id, registration.client_id);
  assert.equal(access.sub, claims.sub);

  const userInfoResponse = await oauth.userInfoRequest(
    server, client, tokens.access_token, insecure,
  );
  const user = await oauth.processUserInfoResponse(server, client, claims.sub, userInfoResponse);
  assert.equal(user.name, "Ada Lovelace");
  report(registration, "userinfo", String(user.email));

  const refresh = async (token: string) => {
    const response = await oauth.refreshTokenGrantRequest(
      server, client, authentication, token, insecure,
    );
    return oauth.processRefreshTokenResponse(server, client, response);
  };
  const renewed = await refresh(tokens.refresh_token);
  assert(renewed.refresh_token !== undefined);
  assert.equal(oauth.getValidatedIdTokenClaims(renewed)?.sub, claims.sub);
  report(registration, "refreshed");

  const introspect = async () => {
    const response = await oauth.introspectionRequest(
      server, client, authentication, renewed.access_token, insecure,
    );
    const { active } = await oauth.processIntrospectionResponse(server, client, response);
    report(registration, "introspected", active ? "active" : "inactive");
  };
  if (registration.method !== "none") await introspect();
  const revoked = await oauth.revocationRequest(
    server, client, authentication, renewed.refresh_token, insecure,
  );
  await oauth.processRevocationResponse(revoked);
  report(registration, "revoked");
  await expectError(registration, "refreshed", refresh(renewed.refresh_token));
  if (registration.method !== "none") {
    await introspect();
    const scope = { scope: "tasks:read" };
    const response = await oauth.clientCredentialsGrantRequest(
      server, client, authentication, scope, insecure,
    );
    const clientToken = await oauth.processClientCredentialsResponse(server, client, response);
    assert.equal(clientToken.scope, "tasks:read");
    report(registration, "client_credentials");
  }

  assert(server.end_session_endpoint !== undefined);
  const logout = new URL(server.end_session_endpoint);
  logout.search = new URLSearchParams({
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: parameters.post_logout_redirect_uri,
    state: "over",
  }).toString();
  const finalUrl = await browse("allow", logout);
  assert.equal(finalUrl.href, `${parameters.post_logout_redirect_uri}?state=over`);
  report(registration, "logged_out");
}

async function logIn(
  registration: Registration,
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
    redirect_uri: registration.redirect_uri,
    scope: SCOPE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce: expectedNonce,
  }).toString();
  const finalUrl = await browse(decision, url);
  const callback = oauth.validateAuthResponse(server, client, finalUrl, state);
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, callback, registration.redirect_uri, verifier,
    insecure,
  );
  const expected = { expectedNonce, requireIdToken: true, maxAge: 600 };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return tokens;
}

async function authenticationOf(registration: Registration): Promise<oauth.ClientAuth> {
  switch (registration.method) {
    case "client_secret_basic":
      return oauth.ClientSecretBasic(registration.secret ?? "");
    case "client_secret_post":
      return oauth.ClientSecretPost(registration.secret ?? "");
    case "private_key_jwt":
      return oauth.PrivateKeyJwt(await privateKey(registration));
    case "none":
      return oauth.None();
  }
}
