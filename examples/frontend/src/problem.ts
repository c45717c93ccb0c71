/** One error type for failed calls of both services and for network errors. */

/** The error responses of Signet and of the task API. */
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
    /** The error code, or `NO_ANSWER` without a response. */
    readonly code: string,
    message: string,
    /** The HTTP status, or 0. */
    readonly status = 0,
    /** The errors of members of the request. */
    readonly fields: { name: string; message: string }[] = [],
    /** Seconds to wait before the call may succeed. */
    readonly retryAfter = 0,
  ) {
    super(message);
  }

  /** Whether the call may succeed if it is repeated shortly. */
  get isTemporary(): boolean {
    return this.code === "NO_ANSWER" || this.status === 503;
  }
}

/** Waits for a response. Returns its data, or throws a `Problem`. */
export async function dataOf<Data>(
  call: Promise<{ data?: Data; error?: Envelope; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await call.catch(() => {
    throw new Problem("NO_ANSWER", "The service cannot be reached. Are you online?");
  });
  if (response.ok) {
    return data as Data; // for a 204, `Data` is the type of a missing body
  }
  const retryAfter = Number(response.headers.get("Retry-After") ?? 0);
  // A response of a proxy may have another format.
  const { code = "ERROR", message = "The service failed", fields = [] } = error?.error ?? {};
  throw new Problem(code, message, response.status, fields, retryAfter);
}

/** The message for the user. */
export function explain(problem: unknown): string {
  if (!(problem instanceof Problem)) {
    throw problem;
  }
  if (problem.status === 429) {
    return `Too many attempts. Please try again in ${seconds(problem.retryAfter)}.`;
  }
  if (problem.status >= 500) {
    return "The service failed. Please try again in a moment.";
  }
  return problem.message;
}

function seconds(count: number): string {
  return count === 1 ? "a second" : `${count || "a few"} seconds`;
}
