/** What the test tells the programs, and the person at the browser whom they send to Signet. */

import { createInterface } from "node:readline";

export interface Arrangement {
  issuer: string;
  api: string;
  post_logout_redirect_uri: string;
  clients: Registered[];
}

export interface Registered {
  client_id: string;
  method: "client_secret_basic" | "client_secret_post" | "private_key_jwt" | "none";
  redirect_uri: string;
  secret?: string;
  key?: JsonWebKey;
}

export const SCOPE = "openid profile email offline_access tasks:read";

const [argument] = process.argv.slice(2);
if (argument === undefined) throw new Error("usage: PROGRAM ARRANGEMENT");
export const arrangement = JSON.parse(argument) as Arrangement;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Sends the person to an address. Returns the one where they arrived. */
export async function browse(decision: "allow" | "deny", url: URL): Promise<URL> {
  console.log(decision, url.href);
  const { value, done } = await answers.next();
  if (done) throw new Error("the person is gone");
  return new URL(value);
}

/** Says what happened. */
export function report(client: Registered, ...words: string[]): void {
  console.log(client.method, ...words);
}

/** Says which error the call ends with. */
export async function refused(
  client: Registered,
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
  throw new Error(`${step}: should have been refused`);
}

/** The private key of the client. What it signs does not say which key that was. */
export function privateKey(client: Registered): Promise<CryptoKey> {
  if (client.key === undefined) throw new Error("it has no key");
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  return crypto.subtle.importKey("jwk", client.key, algorithm, false, ["sign"]);
}

/** The end of a program: nothing more is asked of the person. */
export function done(): void {
  process.stdin.destroy();
}
