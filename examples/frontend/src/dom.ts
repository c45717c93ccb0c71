/** Helpers that create elements. Text is always set as text, so user input cannot become markup. */

type Child = Node | string;
type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], "style" | "dataset">
>;

/** Creates an element with children and properties (`className`, `htmlFor`; not attributes). */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A labelled text field with a hint and an error message. */
export class Field {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  readonly #problem: HTMLElement;

  constructor(label: string, input: Partial<HTMLInputElement> & { id: string }, hint = "") {
    const { id } = input;
    this.#problem = h("p", { id: `${id}-problem`, className: "problem", role: "alert" });
    this.input = h("input", { type: "text", name: id, ...input });
    this.input.setAttribute("aria-describedby", `${id}-problem ${id}-hint`);
    this.input.addEventListener("input", () => this.show(""));
    this.element = h(
      "div",
      { className: "field" },
      h("label", { htmlFor: id }, label),
      this.input,
      this.#problem,
      h("p", { id: `${id}-hint`, className: "hint" }, hint),
    );
  }

  /** Shows an error message. "" removes it. */
  show(problem: string): void {
    if (this.#problem.textContent !== problem) this.#problem.textContent = problem;
    this.input.setAttribute("aria-invalid", String(problem !== ""));
  }
}

/** A status message, whose changes screen readers announce. */
export function notice(): HTMLElement {
  return h("p", { className: "notice", role: "status" });
}

/**
 * Runs `action` when a form is submitted. Further submits are ignored until it has ended.
 * Meanwhile the button has `aria-disabled`.
 */
export function onSubmit(form: HTMLFormElement, action: () => Promise<void>): void {
  form.noValidate = true; // the app itself shows errors, beside the fields
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    // Not `disabled`, since the button would lose the focus.
    button.setAttribute("aria-disabled", "true");
    await action().finally(() => button.removeAttribute("aria-disabled"));
  });
}
