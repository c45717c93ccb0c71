/** The task API. It never gets a password, and accepts Signet's access tokens. */

import { serviceUrls } from "./service-urls";
import { dataOf, Problem, type Envelope } from "./problem";
import type { Session } from "./session";

export interface Task {
  id: number;
  title: string;
  completed: boolean;
}

export class Tasks {
  readonly #session: Session;
  readonly #userId: string;

  constructor(session: Session, userId: string) {
    this.#session = session;
    this.#userId = userId;
  }

  list(): Promise<Task[]> {
    return this.#call("GET", "");
  }

  add(title: string): Promise<Task> {
    return this.#call("POST", "", { title });
  }

  /** Marks an open task as completed, and a completed one as open. */
  toggle(id: number): Promise<Task> {
    return this.#call("PATCH", `/${id}/complete`);
  }

  remove(id: number): Promise<void> {
    return this.#call("DELETE", `/${id}`);
  }

  async #call<Data>(method: string, path: string, body?: unknown): Promise<Data> {
    const token = await this.#session.accessToken();
    try {
      return await this.#send<Data>(token, method, path, body);
    } catch (problem) {
      // The token may have expired by the service's clock, so retry once with a new token.
      if (!(problem instanceof Problem && problem.status === 401)) throw problem;
      return this.#send<Data>(await this.#session.refresh(), method, path, body);
    }
  }

  #send<Data>(token: string, method: string, path: string, body?: unknown): Promise<Data> {
    const url = `${serviceUrls(import.meta.env).tasks}/api/${this.#userId}/tasks${path}`;
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    const request: RequestInit = { method, headers };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    return dataOf<Data>(fetch(url, request).then(read));
  }
}

async function read(response: Response) {
  const text = await response.text();
  const body = text === "" ? undefined : JSON.parse(text);
  return response.ok ? { data: body, response } : { error: body as Envelope, response };
}
