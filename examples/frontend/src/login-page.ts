/** The page for users who are not logged in: login and sign-up. */

import { Field, h, notice, onSubmit } from "./dom";
import { explain, Problem } from "./problem";
import type { Session } from "./session";

const PASSWORD_HINT = "8 to 128 characters, with upper case, lower case and a digit.";

export function loginPage(session: Session, initialMessage: string): HTMLElement {
  const page = h("div", { className: "login-page" });
  show("log in", initialMessage, "");
  return page;

  function show(mode: "log in" | "sign up", message: string, address: string): void {
    const signingUp = mode === "sign up";
    const title = h("h1", { tabIndex: -1 }, signingUp ? "Sign up" : "Log in");
    const email = new Field("Email", {
      id: "email",
      type: "email",
      autocomplete: "username",
      maxLength: 254,
      value: address,
    });
    const password = new Field(
      "Password",
      {
        id: "password",
        type: "password",
        autocomplete: signingUp ? "new-password" : "current-password",
      },
      signingUp ? PASSWORD_HINT : "",
    );
    const status = notice();
    status.textContent = message;
    const form = h(
      "form",
      {},
      email.element,
      password.element,
      status,
      h("button", { type: "submit" }, signingUp ? "Sign up" : "Log in"),
    );

    const modeButton = h(
      "button",
      { type: "button", className: "link" },
      signingUp ? "Log in" : "Sign up",
    );
    modeButton.addEventListener("click", () => {
      show(signingUp ? "log in" : "sign up", "", email.input.value);
      page.querySelector("h1")?.focus();
    });
    const question = signingUp ? "Do you have an account? " : "New here? ";
    page.replaceChildren(title, form, h("p", { className: "other" }, question, modeButton));

    onSubmit(form, async () => {
      status.textContent = "";
      const complete = [
        checkFilled(password, "your password"),
        checkFilled(email, "your email address"),
      ];
      if (complete.includes(false)) return;
      try {
        const submit = signingUp ? session.signUp : session.logIn;
        await submit.call(session, email.input.value, password.input.value);
      } catch (problem) {
        showProblem(problem, { email, password }, status);
      }
    });
  }
}

function checkFilled(field: Field, description: string): boolean {
  const missing = field.input.value.trim() === "";
  field.show(missing ? `Please enter ${description}.` : "");
  if (missing) field.input.focus();
  return !missing;
}

/** Shows an error beside the field that caused it, or above the button. */
function showProblem(problem: unknown, fields: Record<string, Field>, status: HTMLElement): void {
  if (problem instanceof Problem && problem.code === "EMAIL_EXISTS") {
    fields["email"]?.show("There is an account with this address. Log in instead?");
    fields["email"]?.input.focus();
  } else if (problem instanceof Problem && problem.code === "AUTH_FAILED") {
    status.textContent = "The email address or the password is wrong.";
    fields["password"]?.input.select();
  } else if (problem instanceof Problem && problem.fields.some(({ name }) => name in fields)) {
    // Signet reports the errors of each member, such as "needs a digit", in any order.
    for (const [name, field] of Object.entries(fields).reverse()) {
      const messages = problem.fields.filter((it) => it.name === name).map((it) => it.message);
      if (messages.length === 0) continue;
      field.show(`The ${name} ${messages.join(", ")}.`);
      field.input.focus();
    }
  } else {
    status.textContent = explain(problem);
  }
}
