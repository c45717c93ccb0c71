/** The life of an account. Prints a line for each answer: operation, status, error code. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";

import type { components, operations, paths } from "./signet.js";

type ErrorBody = components["schemas"]["ErrorBody"];
type ErrorEnvelope = components["schemas"]["ErrorEnvelope"];

/** What every call of the client answers. One error type for all is what makes this one line. */
interface Answer<Data> {
  data?: Data;
  error?: ErrorEnvelope;
  response: Response;
}

const [baseUrl, email, password] = process.argv.slice(2);
assert(baseUrl && email && password, "usage: life URL EMAIL PASSWORD");

const signet = createClient<paths>({ baseUrl });

const born = await done("signUp", signet.POST("/api/auth/signup", { body: { email, password } }));
assert.equal(born.email, email);
await refused("signUp", signet.POST("/api/auth/signup", { body: { email, password } }));
const weak = await refused(
  "signUp",
  signet.POST("/api/auth/signup", { body: { email: `other-${email}`, password: "Password1" } }),
);
assert.deepEqual(weak.fields?.map((field) => field.name), ["password"]);

await refused("logIn", signet.POST("/api/auth/login", { body: { email, password: "Wrong-1" } }));
const login = await done("logIn", signet.POST("/api/auth/login", { body: { email, password } }));
assert.equal(login.user_id, born.user_id);

const account = await done("getMe", signet.GET("/api/auth/me", bearer(login.access_token)));
assert.equal(account.user_id, born.user_id);
assert(!Number.isNaN(Date.parse(account.created_at)));
await refused("getMe", signet.GET("/api/auth/me", bearer("no-token")));

const { refresh_token } = login;
const renewed = await done(
  "refresh",
  signet.POST("/api/auth/refresh", { body: { refresh_token } }),
);
assert.notEqual(renewed.refresh_token, refresh_token);
assert(renewed.expires_in > 0 && renewed.token_type === "Bearer");

await refused(
  "resetPassword",
  signet.POST("/api/auth/password/reset", { body: { token: "made-up", new_password: password } }),
);

const me = bearer(renewed.access_token);
const named = await done(
  "updateMe",
  signet.PATCH("/api/auth/me", { ...me, body: { name: "Ada", locale: "en-GB", gender: null } }),
);
assert.deepEqual([named.name, named.locale, named.gender], ["Ada", "en-GB", undefined]);
const script = { website: "javascript:alert(1)" };
await refused("updateMe", signet.PATCH("/api/auth/me", { ...me, body: script }));

const { sessions } = await done("listSessions", signet.GET("/api/auth/sessions", me));
assert.deepEqual(sessions.map((session) => session.current), [true, false]);
const id = sessions[1]?.id ?? "";
const other = { ...me, params: { path: { id } } };
await done("endSession", signet.DELETE("/api/auth/sessions/{id}", other));
await refused("endSession", signet.DELETE("/api/auth/sessions/{id}", other));
const others = { ...me, params: { query: { others: "true" as const } } };
await done("endOtherSessions", signet.DELETE("/api/auth/sessions", others));

// Consents are given on the pages, so there is none to take back.
const { consents } = await done("listConsents", signet.GET("/api/auth/consents", me));
assert.deepEqual(consents, []);
const shop = { ...me, params: { path: { client_id: "shop" } } };
await refused("withdrawConsent", signet.DELETE("/api/auth/consents/{client_id}", shop));

const new_password = `${password}-new`;
const wrong = { current_password: "Wrong-1", new_password };
await refused("changePassword", signet.POST("/api/auth/password", { ...me, body: wrong }));
const right = { current_password: password, new_password };
await done("changePassword", signet.POST("/api/auth/password", { ...me, body: right }));

await done("logOut", signet.POST("/api/auth/logout", bearer(renewed.access_token)));
await refused("getMe", signet.GET("/api/auth/me", bearer(renewed.access_token)));
await refused(
  "refresh",
  signet.POST("/api/auth/refresh", { body: { refresh_token: renewed.refresh_token } }),
);

const last = await done(
  "logIn",
  signet.POST("/api/auth/login", { body: { email, password: new_password } }),
);
const leaving = { ...bearer(last.access_token), body: { password: new_password } };
await done("deleteMe", signet.DELETE("/api/auth/me", leaving));

function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}

async function done<Data>(
  operation: keyof operations,
  call: Promise<Answer<Data>>,
): Promise<Data> {
  const { data, error, response } = await call;
  assert(error === undefined && response.ok, `${operation}: ${JSON.stringify(error)}`);
  console.log(operation, response.status);
  return data as Data; // a 204 has no body, and `Data` says so
}

async function refused(
  operation: keyof operations,
  call: Promise<Answer<unknown>>,
): Promise<ErrorBody> {
  const { error, response } = await call;
  assert(error, `${operation}: ${response.status}`);
  assert.equal(error.meta.request_id, response.headers.get("x-request-id"));
  console.log(operation, response.status, error.error.code);
  return error.error;
}
