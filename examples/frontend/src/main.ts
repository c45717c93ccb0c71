/** Shows the login page or the task page, and switches between them at logins and logouts. */

import { loginPage } from "./login-page";
import { explain } from "./problem";
import { Session } from "./session";
import { taskPage } from "./task-page";

const LOGOUT_FAILED =
  "You are logged out on this device, but Signet's session continues until it expires.";

const session = new Session();
const app = document.getElementById("app");
let wasLoggedIn = false;

session.onChange(show);
show();

function show(): void {
  const user = session.user;
  const message = wasLoggedIn ? "You are logged out." : "";
  document.title = user ? "Tasks" : "Log in – Tasks";
  app?.replaceChildren(user ? taskPage(session, user, logOut) : loginPage(session, message));
  if (wasLoggedIn !== (user !== undefined)) app?.querySelector("h1")?.focus();
  wasLoggedIn = user !== undefined;
}

async function logOut(): Promise<void> {
  try {
    await session.logOut();
  } catch (problem) {
    const notice = document.querySelector(".notice");
    if (notice) notice.textContent = `${explain(problem)} ${LOGOUT_FAILED}`;
  }
}

// For tests/e2e/test_frontend.py, which lets two tabs refresh at the same time.
if (import.meta.env.MODE === "test") Object.assign(window, { session });
