/** What can go wrong with a call, in one form for both services and for the network. */

/** The envelope that Signet and the task API answer errors in. */
export interface Envelope {
  error: {
    code: string;
    message: string;
    details: string | null;
    fields?: { name: string; message: string }[];
  };
}

export class Problem extends Error {
  constructor(
    /** For programs; `NO_ANSWER` if there was none. */
    readonly code: string,
    message: string,
    /** The HTTP status, or 0. */
    readonly status = 0,
    /** What is wrong with which member of the request. */
    readonly fields: { name: string; message: string }[] = [],
    /** How long to wait before the same may succeed, in seconds. */
    readonly retryAfter = 0,
  ) {
    super(message);
  }

  /** Whether the same call may succeed a moment later. */
  get passes(): boolean {
    return this.code === "NO_ANSWER" || this.status === 503;
  }
}

/** Waits for an answer. Returns what is in it, or throws a `Problem`. */
export async function answer<Data>(
  call: Promise<{ data?: Data; error?: Envelope; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await call.catch(() => {
    throw new Problem("NO_ANSWER", "The service cannot be reached. Are you online?");
  });
  if (response.ok) {
    return data as Data; // a 204 has no body, and `Data` says so
  }
  const retryAfter = Number(response.headers.get("Retry-After") ?? 0);
  // A proxy in between may answer with something else than the envelope.
  const { code = "ERROR", message = "The service failed", fields = [] } = error?.error ?? {};
  throw new Problem(code, message, response.status, fields, retryAfter);
}

/** What to tell the person in front of the screen. */
export function explain(problem: unknown): string {
  if (!(problem instanceof Problem)) {
    throw problem;
  }
  if (problem.status === 429) {
    return `Too many attempts. Please try again in ${seconds(problem.retryAfter)}.`;
  }
  if (problem.status >= 500) {
    return "The service has trouble right now. Please try again in a moment.";
  }
  return problem.message;
}

function seconds(count: number): string {
  return count === 1 ? "a second" : `${count || "a few"} seconds`;
}
