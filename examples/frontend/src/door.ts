/** The page for whoever is not logged in: log in, or sign up. */

import { Field, h, notice, onSubmit } from "./dom";
import { explain, Problem } from "./problem";
import type { Session } from "./session";

const PASSWORD_HINT = "8 to 128 characters, with upper case, lower case and a digit.";

export function door(session: Session, greeting: string): HTMLElement {
  const page = h("div", { className: "door" });
  show("log in", greeting, "");
  return page;

  function show(mode: "log in" | "sign up", sentence: string, address: string): void {
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
    status.textContent = sentence;
    const form = h(
      "form",
      {},
      email.element,
      password.element,
      status,
      h("button", { type: "submit" }, signingUp ? "Sign up" : "Log in"),
    );

    const other = h(
      "button",
      { type: "button", className: "link" },
      signingUp ? "Log in" : "Sign up",
    );
    other.addEventListener("click", () => {
      show(signingUp ? "log in" : "sign up", "", email.input.value);
      page.querySelector("h1")?.focus();
    });
    const question = signingUp ? "Do you have an account? " : "New here? ";
    page.replaceChildren(title, form, h("p", { className: "other" }, question, other));

    onSubmit(form, async () => {
      status.textContent = "";
      const complete = [filled(password, "your password"), filled(email, "your email address")];
      if (complete.includes(false)) return;
      try {
        const enter = signingUp ? session.signUp : session.logIn;
        await enter.call(session, email.input.value, password.input.value);
      } catch (problem) {
        tell(problem, { email, password }, status);
      }
    });
  }
}

function filled(field: Field, wanted: string): boolean {
  const missing = field.input.value.trim() === "";
  field.show(missing ? `Please give ${wanted}.` : "");
  if (missing) field.input.focus();
  return !missing;
}

/** Says what went wrong next to the field that it is about, or above the button. */
function tell(problem: unknown, fields: Record<string, Field>, status: HTMLElement): void {
  if (problem instanceof Problem && problem.code === "EMAIL_EXISTS") {
    fields["email"]?.show("There is an account with this address. Log in instead?");
    fields["email"]?.input.focus();
  } else if (problem instanceof Problem && problem.code === "AUTH_FAILED") {
    status.textContent = "This address and this password do not belong together.";
    fields["password"]?.input.select();
  } else if (problem instanceof Problem && problem.fields.some(({ name }) => name in fields)) {
    // Signet says of each member what is wrong with it, such as "needs a digit"; in any order.
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
