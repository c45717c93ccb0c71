/** Runs the flows with openid-client. Prints authentication method, step and outcome of each. */

import assert from "node:assert/strict";
import * as client from "openid-client";

import type { Registration } from "./parameters.js";
import {
  SCOPE, browse, expectError, finish, parameters, privateKey, report,
} from "./parameters.js";

for (const registration of parameters.clients) {
  await flow(registration);
}
finish();

async function flow(registration: Registration): Promise<void> {
  const config = await client.discovery(
    new URL(parameters.issuer),
    registration.client_id,
    undefined,
    await authentication(registration),
    // By default, it does not verify signatures of ID tokens that come directly from the provider.
    { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
  );
  assert(config.serverMetadata().supportsPKCE());

  await expectError(registration, "denied", logIn(config, registration, "deny"));
  const tokens = await logIn(config, registration, "allow");
  // The remaining lifetime, of 900 seconds.
  const remaining = tokens.expiresIn() ?? 0;
  assert(tokens.refresh_token !== undefined && remaining > 880 && remaining <= 900);
  const claims = tokens.claims();
  assert(claims !== undefined && claims.auth_time !== undefined);
  report(registration, "logged_in");

  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(user.name, "Ada Lovelace");
  report(registration, "userinfo", String(user.email));

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert(renewed.refresh_token !== undefined);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  assert.equal(renewed.claims()?.sub, claims.sub);
  report(registration, "refreshed");

  if (registration.method !== "none") {
    const state = await client.tokenIntrospection(config, renewed.access_token);
    assert.equal(state.sub, claims.sub);
    report(registration, "introspected", state.active ? "active" : "inactive");
  }
  await client.tokenRevocation(config, renewed.refresh_token);
  report(registration, "revoked");
  const again = client.refreshTokenGrant(config, renewed.refresh_token);
  await expectError(registration, "refreshed", again);
  if (registration.method !== "none") {
    const state = await client.tokenIntrospection(config, renewed.access_token);
    report(registration, "introspected", state.active ? "active" : "inactive");
    const clientToken = await client.clientCredentialsGrant(config, { scope: "tasks:read" });
    assert.equal(clientToken.scope, "tasks:read");
    report(registration, "client_credentials");
  }

  const logout = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token ?? "",
    post_logout_redirect_uri: parameters.post_logout_redirect_uri,
    state: "over",
  });
  const finalUrl = await browse("allow", logout);
  assert.equal(finalUrl.href, `${parameters.post_logout_redirect_uri}?state=over`);
  report(registration, "logged_out");
}

async function logIn(
  config: client.Configuration,
  registration: Registration,
  decision: "allow" | "deny",
): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers> {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: registration.redirect_uri,
    scope: SCOPE,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce: expectedNonce,
  });
  return client.authorizationCodeGrant(config, await browse(decision, url), {
    pkceCodeVerifier,
    expectedState,
    expectedNonce,
    idTokenExpected: true,
  });
}

async function authentication(registration: Registration): Promise<client.ClientAuth> {
  switch (registration.method) {
    case "client_secret_basic":
      return client.ClientSecretBasic(registration.secret);
    case "client_secret_post":
      return client.ClientSecretPost(registration.secret);
    case "private_key_jwt":
      return client.PrivateKeyJwt(await privateKey(registration));
    case "none":
      return client.None();
  }
}
