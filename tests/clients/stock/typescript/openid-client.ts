/** The flows on openid-client. Prints a line for each: method of authentication, step, outcome. */

import assert from "node:assert/strict";
import * as client from "openid-client";

import type { Registered } from "./arrangement.js";
import { SCOPE, arrangement, browse, done, privateKey, refused, report } from "./arrangement.js";

for (const registered of arrangement.clients) {
  await flow(registered);
}
done();

async function flow(registered: Registered): Promise<void> {
  const config = await client.discovery(
    new URL(arrangement.issuer),
    registered.client_id,
    undefined,
    await authentication(registered),
    // Unless told otherwise, it leaves the signature of ID tokens that come straight from us to TLS.
    { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
  );
  assert(config.serverMetadata().supportsPKCE());

  await refused(registered, "denied", logIn(config, registered, "deny"));
  const tokens = await logIn(config, registered, "allow");
  // What is left of 900 seconds: a second may have begun since.
  const left = tokens.expiresIn() ?? 0;
  assert(tokens.refresh_token !== undefined && left > 880 && left <= 900);
  const claims = tokens.claims();
  assert(claims !== undefined && claims.auth_time !== undefined);
  report(registered, "logged_in");

  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(user.name, "Ada Lovelace");
  report(registered, "userinfo", String(user.email));

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert(renewed.refresh_token !== undefined);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  assert.equal(renewed.claims()?.sub, claims.sub);
  report(registered, "refreshed");

  if (registered.method !== "none") {
    const state = await client.tokenIntrospection(config, renewed.access_token);
    assert.equal(state.sub, claims.sub);
    report(registered, "introspected", state.active ? "active" : "inactive");
  }
  await client.tokenRevocation(config, renewed.refresh_token);
  report(registered, "revoked");
  const again = client.refreshTokenGrant(config, renewed.refresh_token);
  await refused(registered, "refreshed", again);
  if (registered.method !== "none") {
    const state = await client.tokenIntrospection(config, renewed.access_token);
    report(registered, "introspected", state.active ? "active" : "inactive");
    const own = await client.clientCredentialsGrant(config, { scope: "tasks:read" });
    assert.equal(own.scope, "tasks:read");
    report(registered, "client_credentials");
  }

  const logout = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token ?? "",
    post_logout_redirect_uri: arrangement.post_logout_redirect_uri,
    state: "over",
  });
  const arrived = await browse("allow", logout);
  assert.equal(arrived.href, `${arrangement.post_logout_redirect_uri}?state=over`);
  report(registered, "logged_out");
}

async function logIn(
  config: client.Configuration,
  registered: Registered,
  decision: "allow" | "deny",
): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers> {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: registered.redirect_uri,
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

async function authentication(registered: Registered): Promise<client.ClientAuth> {
  switch (registered.method) {
    case "client_secret_basic":
      return client.ClientSecretBasic(registered.secret);
    case "client_secret_post":
      return client.ClientSecretPost(registered.secret);
    case "private_key_jwt":
      return client.PrivateKeyJwt(await privateKey(registered));
    case "none":
      return client.None();
  }
}
