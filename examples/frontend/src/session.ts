/**
 * Who is logged in, in this tab and in all others.
 *
 * - The access token is in the memory of each tab. It is what services see.
 * - The refresh token is in `localStorage`, one for all tabs. Only Signet sees it.
 * - A refresh spends the refresh token and brings the next one. Tabs that share one must not log each
 *   other out: they take turns where the browser lets them, and tell each other what they got. Where
 *   they can't, Signet gives the same answer to all who ask with the same token at about the same time.
 * - An answer may get lost on its way. Whoever asks again within ten seconds gets it again.
 * - Whichever tab logs out, the others see the refresh token go, and forget what they have.
 */

import { answer, Problem } from "./problem";
import { signet, type AuthTokens } from "./signet";

export interface User {
  id: string;
  email: string;
}

/** What is stored: for how long the login lasts is Signet's to say. */
interface Login {
  user: User;
  refreshToken: string;
}

interface Access {
  token: string;
  /** When to get a new one: a little before it expires. */
  renewAt: number;
}

/** What a tab tells the others after a refresh. */
interface News {
  spent: string;
  login: Login;
  access: Access;
}

const STORED_AS = "signet.login";
/** Pauses before asking again, in milliseconds. With the time limits they stay within ten seconds. */
const PAUSES = [200, 800];
const TIME_LIMIT = 2_500;
/** For how long to wait for the news of another tab's refresh, after its turn, in milliseconds. */
const NEWS_LIMIT = 250;

export class Session {
  #login = stored();
  #access: Access | undefined;
  #refreshing: Promise<string> | undefined;
  #onChange: () => void = () => {};
  readonly #tabs = "BroadcastChannel" in window ? new BroadcastChannel(STORED_AS) : undefined;

  constructor() {
    // Another tab logged in or out, or refreshed; `null` means that everything was cleared.
    addEventListener("storage", ({ key }) => {
      if (key === STORED_AS || key === null) this.#adopt(stored());
    });
    this.#tabs?.addEventListener("message", ({ data }: MessageEvent<News>) => {
      const mine = stored()?.refreshToken;
      if (mine === data.spent || mine === data.login.refreshToken) this.#access = data.access;
    });
  }

  /** Nobody, or whose tasks to show. Whether Signet agrees is seen at the next refresh. */
  get user(): User | undefined {
    return this.#login?.user;
  }

  /** Calls back when somebody has logged in or out, in whichever tab. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  async signUp(email: string, password: string): Promise<void> {
    this.#begin(await answer(signet.POST("/api/auth/signup", { body: { email, password } })));
  }

  async logIn(email: string, password: string): Promise<void> {
    this.#begin(await answer(signet.POST("/api/auth/login", { body: { email, password } })));
  }

  /**
   * Ends the login at Signet and forgets it here and in all tabs, which happens in any case: if this
   * throws, only Signet does not know yet.
   */
  async logOut(): Promise<void> {
    try {
      // With a new token: the one in memory may be of an older login of the same person.
      const headers = { Authorization: `Bearer ${await this.refresh()}` };
      await answer(signet.POST("/api/auth/logout", { headers }));
    } catch (problem) {
      const ended = problem instanceof Problem && problem.status === 401;
      if (!ended) throw problem;
    } finally {
      this.#forget();
    }
  }

  /** An access token that is good for a while yet. */
  async accessToken(): Promise<string> {
    const access = this.#access;
    return access && Date.now() < access.renewAt ? access.token : this.refresh();
  }

  /** A new access token, also if the present one is good. Whoever asks meanwhile gets the same. */
  refresh(): Promise<string> {
    this.#refreshing ??= this.#inTurn().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** One tab after the other; one that waited for a refresh of another takes its tokens. */
  async #inTurn(): Promise<string> {
    const before = this.#access;
    // Locks are missing where a page did not come by https.
    if (!navigator.locks) return this.#exchange();
    const atOnce = await navigator.locks.request(STORED_AS, { ifAvailable: true }, (lock) =>
      lock ? this.#exchange() : undefined,
    );
    const waited = async () => (await this.#newsSince(before)) ?? this.#exchange();
    return atOnce ?? navigator.locks.request(STORED_AS, waited);
  }

  /** What another tab got in its turn. The news of it may come later than the turn passes on. */
  async #newsSince(before: Access | undefined): Promise<string | undefined> {
    if (this.#access === before) {
      const signal = AbortSignal.timeout(NEWS_LIMIT);
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
      return this.#exchange(); // meanwhile somebody logged out or in: these tokens are of the past
    }
    if (!tokens) {
      // If another tab has a newer one, that decides.
      if (now?.refreshToken === login.refreshToken) this.#forget();
      return this.#exchange();
    }
    this.#access = accessOf(tokens);
    const next = loginOf(tokens);
    // If another tab is ahead, what it stored stays.
    if (now?.refreshToken === login.refreshToken) this.#store(next);
    const news: News = { spent: login.refreshToken, login: next, access: this.#access };
    this.#tabs?.postMessage(news);
    return this.#access.token;
  }

  #begin(tokens: AuthTokens): void {
    this.#access = accessOf(tokens);
    this.#store(loginOf(tokens));
    this.#onChange();
  }

  #store(login: Login): void {
    this.#login = login;
    localStorage.setItem(STORED_AS, JSON.stringify(login));
  }

  #forget(): void {
    localStorage.removeItem(STORED_AS);
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

/** Exchanges a refresh token. Asks again if the answer gets lost or Signet has trouble. */
async function exchange(refreshToken: string): Promise<AuthTokens> {
  for (const pause of [...PAUSES, undefined]) {
    try {
      const signal = AbortSignal.timeout(TIME_LIMIT);
      const body = { refresh_token: refreshToken };
      return await answer(signet.POST("/api/auth/refresh", { body, signal }));
    } catch (problem) {
      const again = problem instanceof Problem && problem.passes && pause !== undefined;
      if (!again) throw problem;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw new Error("unreachable: the last round returns or throws");
}

function stored(): Login | undefined {
  try {
    return (JSON.parse(localStorage.getItem(STORED_AS) ?? "null") as Login | null) ?? undefined;
  } catch {
    return undefined; // whatever it is, nobody can be logged in with it
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
