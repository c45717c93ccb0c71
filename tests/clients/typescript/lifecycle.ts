/** Calls all operations of an account's lifecycle. Prints each response's status and error code. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";

import type { components, operations, paths } from "./signet.js";

type ErrorBody = components["schemas"]["ErrorBody"];
type ErrorEnvelope = components["schemas"]["ErrorEnvelope"];

/** The result of every call of the client. All operations have the same error type. */
interface CallResult<Data> {
  data?: Data;
  error?: ErrorEnvelope;
  response: Response;
}

const [baseUrl, email, password] = process.argv.slice(2);
assert(baseUrl && email && password, "usage: lifecycle URL EMAIL PASSWORD");

const signet = createClient<paths>({ baseUrl });

const signedUp = await expectSuccess(
  "signUp",
  signet.POST("/api/auth/signup", { body: { email, password } }),
);
// 202 with a handle if the server requires a verified email address.
assert("email" in signedUp);
assert.equal(signedUp.email, email);
await expectError("signUp", signet.POST("/api/auth/signup", { body: { email, password } }));
const weak = await expectError(
  "signUp",
  signet.POST("/api/auth/signup", { body: { email: `other-${email}`, password: "Password1" } }),
);
assert.deepEqual(weak.fields?.map((field) => field.name), ["password"]);

await expectError(
  "logIn",
  signet.POST("/api/auth/login", { body: { email, password: "Wrong-1" } }),
);
const login = await expectSuccess(
  "logIn",
  signet.POST("/api/auth/login", { body: { email, password } }),
);
assert.equal(login.user_id, signedUp.user_id);

const account = await expectSuccess(
  "getMe",
  signet.GET("/api/auth/me", bearer(login.access_token)),
);
assert.equal(account.user_id, signedUp.user_id);
assert(!Number.isNaN(Date.parse(account.created_at)));
await expectError("getMe", signet.GET("/api/auth/me", bearer("no-token")));

const { refresh_token } = login;
const renewed = await expectSuccess(
  "refresh",
  signet.POST("/api/auth/refresh", { body: { refresh_token } }),
);
assert.notEqual(renewed.refresh_token, refresh_token);
assert(renewed.expires_in > 0 && renewed.token_type === "Bearer");

await expectError(
  "resetPassword",
  signet.POST("/api/auth/password/reset", { body: { token: "made-up", new_password: password } }),
);
await expectError(
  "requestPasswordReset",
  signet.POST("/api/auth/password/forgotten", { body: { email } }),
);
const code = { handle: "made-up", code: "made-up", new_password: password };
await expectError(
  "resetPasswordByCode",
  signet.POST("/api/auth/password/reset/code", { body: code }),
);

await expectError(
  "changeEmail",
  signet.POST("/api/auth/email", {
    ...bearer(renewed.access_token),
    body: { email: `new-${email}`, password },
  }),
);
await expectError(
  "requestEmailVerification",
  signet.POST("/api/auth/email/verify/request", { body: { email, password } }),
);
await expectError(
  "verifyEmail",
  signet.POST("/api/auth/email/verify", { body: { token: "made-up", password } }),
);
await expectError(
  "verifyEmailByCode",
  signet.POST("/api/auth/email/verify/code", { body: { handle: "made-up", code: "made-up" } }),
);

const auth = bearer(renewed.access_token);
const updated = await expectSuccess(
  "updateMe",
  signet.PATCH("/api/auth/me", { ...auth, body: { name: "Ada", locale: "en-GB", gender: null } }),
);
assert.deepEqual([updated.name, updated.locale, updated.gender], ["Ada", "en-GB", undefined]);
const invalid = { website: "javascript:alert(1)" };
await expectError("updateMe", signet.PATCH("/api/auth/me", { ...auth, body: invalid }));

const { sessions } = await expectSuccess("listSessions", signet.GET("/api/auth/sessions", auth));
assert.deepEqual(sessions.map((session) => session.current), [true, false]);
const id = sessions[1]?.id ?? "";
const other = { ...auth, params: { path: { id } } };
await expectSuccess("endSession", signet.DELETE("/api/auth/sessions/{id}", other));
await expectError("endSession", signet.DELETE("/api/auth/sessions/{id}", other));
const others = { ...auth, params: { query: { others: "true" as const } } };
await expectSuccess("endOtherSessions", signet.DELETE("/api/auth/sessions", others));

// Consents are only given on the hosted pages, so there is none to withdraw.
const { consents } = await expectSuccess("listConsents", signet.GET("/api/auth/consents", auth));
assert.deepEqual(consents, []);
const shop = { ...auth, params: { path: { client_id: "shop" } } };
await expectError("withdrawConsent", signet.DELETE("/api/auth/consents/{client_id}", shop));

const guess = { ...auth, body: { password: "Wrong-1" } };
await expectError("downloadMyData", signet.POST("/api/auth/me/data", guess));
const data = await expectSuccess(
  "downloadMyData",
  signet.POST("/api/auth/me/data", { ...auth, body: { password } }),
);
assert.equal(data.account.email, email);
assert.equal(data.sessions.filter((session) => session.live).length, 1);
assert.deepEqual([data.events[0]?.type, data.events.at(-1)?.type], ["signup", "data_downloaded"]);

const new_password = `${password}-new`;
const wrong = { current_password: "Wrong-1", new_password };
await expectError("changePassword", signet.POST("/api/auth/password", { ...auth, body: wrong }));
const correct = { current_password: password, new_password };
await expectSuccess(
  "changePassword",
  signet.POST("/api/auth/password", { ...auth, body: correct }),
);

await expectSuccess("logOut", signet.POST("/api/auth/logout", bearer(renewed.access_token)));
await expectError("getMe", signet.GET("/api/auth/me", bearer(renewed.access_token)));
await expectError(
  "refresh",
  signet.POST("/api/auth/refresh", { body: { refresh_token: renewed.refresh_token } }),
);

const last = await expectSuccess(
  "logIn",
  signet.POST("/api/auth/login", { body: { email, password: new_password } }),
);
const deletion = { ...bearer(last.access_token), body: { password: new_password } };
await expectSuccess("deleteMe", signet.DELETE("/api/auth/me", deletion));

function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}

async function expectSuccess<Data>(
  operation: keyof operations,
  call: Promise<CallResult<Data>>,
): Promise<Data> {
  const { data, error, response } = await call;
  assert(error === undefined && response.ok, `${operation}: ${JSON.stringify(error)}`);
  console.log(operation, response.status);
  return data as Data; // for a 204, `Data` is the type of a missing body
}

async function expectError(
  operation: keyof operations,
  call: Promise<CallResult<unknown>>,
): Promise<ErrorBody> {
  const { error, response } = await call;
  assert(error, `${operation}: ${response.status}`);
  assert.equal(error.meta.request_id, response.headers.get("x-request-id"));
  console.log(operation, response.status, error.error.code);
  return error.error;
}
