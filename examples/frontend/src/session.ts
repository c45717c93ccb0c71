/**
 * The login of the user, shared by all tabs.
 *
 * - The access token is in the memory of each tab. It is sent to services.
 * - The refresh token is in `localStorage`, shared by all tabs. It is sent only to Signet.
 * - A refresh invalidates the refresh token and returns the next one. Therefore tabs refresh one
 *   after the other and share the new tokens, if the browser has Web Locks. Otherwise several tabs
 *   may present the same token: for ten seconds, Signet returns the same new refresh token to all
 *   of them. This also covers a repeated request after a lost response.
 * - When a tab logs out, the others notice the removal of the refresh token and drop their tokens.
 */

import { dataOf, Problem } from "./problem";
import { signet, type AuthTokens } from "./signet";

export interface User {
  id: string;
  email: string;
}

/** The data in `localStorage`. It has no expiry, because Signet decides when the session ends. */
interface Login {
  user: User;
  refreshToken: string;
}

interface Access {
  token: string;
  /** The time to request a new token, shortly before its expiry. */
  renewAt: number;
}

/** The message to other tabs after a refresh. */
interface RefreshMessage {
  usedToken: string;
  login: Login;
  access: Access;
}

const STORAGE_KEY = "signet.login";
/**
 * Pauses before retries, in milliseconds. All attempts and pauses take less than the ten seconds in
 * which a retry gets the same refresh token.
 */
const RETRY_PAUSES = [200, 800];
/** Time limit of one refresh request, in milliseconds. */
const TIME_LIMIT = 2_500;
/** How long to wait for another tab's message after its refresh, in milliseconds. */
const MESSAGE_TIME_LIMIT = 250;

export class Session {
  #login = stored();
  #access: Access | undefined;
  #refreshing: Promise<string> | undefined;
  #onChange: () => void = () => {};
  readonly #tabs = "BroadcastChannel" in window ? new BroadcastChannel(STORAGE_KEY) : undefined;

  constructor() {
    // Another tab logged in or out, or refreshed. The key is `null` if it cleared the storage.
    addEventListener("storage", ({ key }) => {
      if (key === STORAGE_KEY || key === null) this.#adopt(stored());
    });
    this.#tabs?.addEventListener("message", ({ data }: MessageEvent<RefreshMessage>) => {
      const current = stored()?.refreshToken;
      const isCurrent = current === data.usedToken || current === data.login.refreshToken;
      if (isCurrent) this.#access = data.access;
    });
  }

  /** The user who is logged in. The session may have ended, which the next refresh detects. */
  get user(): User | undefined {
    return this.#login?.user;
  }

  /** Sets the function that is called after a login or logout in any tab. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  async signUp(email: string, password: string): Promise<void> {
    const signedUp = await dataOf(signet.POST("/api/auth/signup", { body: { email, password } }));
    // 202: with `SIGNET_VERIFY_EMAIL=require` or `SIGNET_SIGNUP_REVEALS_EXISTING=false`, a login is
    // possible once the address is verified.
    if (!("access_token" in signedUp)) {
      throw new Problem("EMAIL_NOT_VERIFIED", "Open the link in the mail, then log in.", 202);
    }
    this.#startLogin(signedUp);
  }

  async logIn(email: string, password: string): Promise<void> {
    this.#startLogin(await dataOf(signet.POST("/api/auth/login", { body: { email, password } })));
  }

  /**
   * Ends the session at Signet and removes the tokens in all tabs. If this throws, the tokens are
   * removed, but Signet's session continues.
   */
  async logOut(): Promise<void> {
    try {
      // Uses a new token, since the one in memory may belong to an earlier login of the same user.
      const headers = { Authorization: `Bearer ${await this.refresh()}` };
      await dataOf(signet.POST("/api/auth/logout", { headers }));
    } catch (problem) {
      const ended = problem instanceof Problem && problem.status === 401;
      if (!ended) throw problem;
    } finally {
      this.#forget();
    }
  }

  /** An access token that does not expire soon. */
  async accessToken(): Promise<string> {
    const access = this.#access;
    return access && Date.now() < access.renewAt ? access.token : this.refresh();
  }

  /** A new access token, even if the current one is valid. Concurrent calls share one refresh. */
  refresh(): Promise<string> {
    this.#refreshing ??= this.#refreshExclusively().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Refreshes while no other tab does. After another tab's refresh, uses its access token. */
  async #refreshExclusively(): Promise<string> {
    const before = this.#access;
    // The browser offers locks only to pages served over https or from localhost.
    if (!navigator.locks) return this.#exchange();
    const atOnce = await navigator.locks.request(STORAGE_KEY, { ifAvailable: true }, (lock) =>
      lock ? this.#exchange() : undefined,
    );
    const afterOtherTab = async () => (await this.#tokenOfOtherTab(before)) ?? this.#exchange();
    return atOnce ?? navigator.locks.request(STORAGE_KEY, afterOtherTab);
  }

  /**
   * The access token that another tab obtained, or `undefined`. Waits briefly for that tab's
   * message, which may arrive after its lock is released.
   */
  async #tokenOfOtherTab(before: Access | undefined): Promise<string | undefined> {
    if (this.#access === before) {
      const signal = AbortSignal.timeout(MESSAGE_TIME_LIMIT);
      await new Promise((resolve) => {
        this.#tabs?.addEventListener("message", resolve, { once: true, signal });
        signal.addEventListener("abort", resolve);
      });
    }
    return this.#access === before ? undefined : this.#access?.token;
  }

  async #exchange(): Promise<string> {
    const login = stored();
    if (!login) {
      this.#forget();
      throw new Problem("LOGGED_OUT", "You are logged out.", 401);
    }
    const tokens = await exchange(login.refreshToken).catch((problem: unknown) => {
      if (problem instanceof Problem && problem.status === 401) return undefined;
      throw problem;
    });

    const now = stored();
    if (now?.refreshToken !== login.refreshToken && now?.user.id !== login.user.id) {
      return this.#exchange(); // another login or a logout has replaced this one meanwhile
    }
    if (!tokens) {
      // If another tab has stored a newer token, it is tried next.
      if (now?.refreshToken === login.refreshToken) this.#forget();
      return this.#exchange();
    }
    this.#access = accessOf(tokens);
    const next = loginOf(tokens);
    // A newer token of another tab must not be replaced.
    if (now?.refreshToken === login.refreshToken) this.#store(next);
    const message = { usedToken: login.refreshToken, login: next, access: this.#access };
    this.#tabs?.postMessage(message satisfies RefreshMessage);
    return this.#access.token;
  }

  #startLogin(tokens: AuthTokens): void {
    this.#access = accessOf(tokens);
    this.#store(loginOf(tokens));
    this.#onChange();
  }

  #store(login: Login): void {
    this.#login = login;
    localStorage.setItem(STORAGE_KEY, JSON.stringify(login));
  }

  #forget(): void {
    localStorage.removeItem(STORAGE_KEY);
    this.#adopt(undefined);
  }

  #adopt(login: Login | undefined): void {
    const changed = login?.user.id !== this.#login?.user.id;
    this.#login = login;
    if (changed) {
      this.#access = undefined;
      this.#onChange();
    }
  }
}

/** Exchanges a refresh token. Retries after a lost response or a temporary error. */
async function exchange(refreshToken: string): Promise<AuthTokens> {
  for (const pause of [...RETRY_PAUSES, undefined]) {
    try {
      const signal = AbortSignal.timeout(TIME_LIMIT);
      const body = { refresh_token: refreshToken };
      return await dataOf(signet.POST("/api/auth/refresh", { body, signal }));
    } catch (problem) {
      const retry = problem instanceof Problem && problem.isTemporary && pause !== undefined;
      if (!retry) throw problem;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw new Error("unreachable: the last round returns or throws");
}

function stored(): Login | undefined {
  try {
    return (JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "null") as Login | null) ?? undefined;
  } catch {
    return undefined; // the stored text is not valid JSON
  }
}

function loginOf(tokens: AuthTokens): Login {
  const user = { id: tokens.user_id, email: tokens.email };
  return { user, refreshToken: tokens.refresh_token };
}

function accessOf(tokens: AuthTokens): Access {
  const margin = Math.min(30, tokens.expires_in / 2);
  return {
    token: tokens.access_token,
    renewAt: Date.now() + (tokens.expires_in - margin) * 1_000,
  };
}
