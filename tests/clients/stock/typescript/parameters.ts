/** The parameters of the programs, and the test's browser, which they send to URLs. */

import { createInterface } from "node:readline";

export interface Parameters {
  issuer: string;
  api: string;
  post_logout_redirect_uri: string;
  clients: Registration[];
}

export interface Registration {
  client_id: string;
  method: "client_secret_basic" | "client_secret_post" | "private_key_jwt" | "none";
  redirect_uri: string;
  secret?: string;
  key?: JsonWebKey;
}

export const SCOPE = "openid profile email offline_access tasks:read";

const [argument] = process.argv.slice(2);
if (argument === undefined) throw new Error("usage: PROGRAM PARAMETERS");
export const parameters = JSON.parse(argument) as Parameters;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Sends the test's browser to a URL. Returns the browser's final URL. */
export async function browse(decision: "allow" | "deny", url: URL): Promise<URL> {
  console.log(decision, url.href);
  const { value, done } = await answers.next();
  if (done) throw new Error("standard input was closed");
  return new URL(value);
}

/** Prints the outcome of a step. */
export function report(client: Registration, ...words: string[]): void {
  console.log(client.method, ...words);
}

/** Expects an error of the call, and prints its code. */
export async function expectError(
  client: Registration,
  step: string,
  call: Promise<unknown>,
): Promise<void> {
  try {
    await call;
  } catch (error) {
    const { error: code } = error as { error?: unknown };
    if (typeof code !== "string") throw error;
    report(client, step, code);
    return;
  }
  throw new Error(`${step}: expected an error`);
}

/** The private key of the client, without a `kid`. */
export function privateKey(client: Registration): Promise<CryptoKey> {
  if (client.key === undefined) throw new Error("the client has no key");
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  return crypto.subtle.importKey("jwk", client.key, algorithm, false, ["sign"]);
}

/** Closes standard input, so that the program exits. */
export function finish(): void {
  process.stdin.destroy();
}
