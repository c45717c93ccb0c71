/** Shows the page that fits, whenever somebody logs in or out. */

import { door } from "./door";
import { list } from "./list";
import { explain } from "./problem";
import { Session } from "./session";

const LEFT_IN_PART =
  "You are logged out on this device, but Signet could not be told: its session lasts until it expires.";

const session = new Session();
const app = document.getElementById("app");
let wasIn = false;

session.onChange(show);
show();

function show(): void {
  const user = session.user;
  const greeting = wasIn ? "You are logged out." : "";
  document.title = user ? "Tasks" : "Log in – Tasks";
  app?.replaceChildren(user ? list(session, user, leave) : door(session, greeting));
  if (wasIn !== (user !== undefined)) app?.querySelector("h1")?.focus();
  wasIn = user !== undefined;
}

async function leave(): Promise<void> {
  try {
    await session.logOut();
  } catch (problem) {
    const notice = document.querySelector(".notice");
    if (notice) notice.textContent = `${explain(problem)} ${LEFT_IN_PART}`;
  }
}

// For the tests in tests/e2e, which let two tabs refresh at one instant.
if (import.meta.env.MODE === "test") Object.assign(window, { session });
