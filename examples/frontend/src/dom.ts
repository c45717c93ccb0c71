/** A few lines instead of a framework. Text is set as text: nothing a user wrote becomes markup. */

type Child = Node | string;
type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], "style" | "dataset">
>;

/** An element with properties (not attributes: `className`, `htmlFor`) and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A labelled text field with room for a hint and for what is wrong with it. */
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

  /** Says what is wrong, or with "" that nothing is. */
  show(problem: string): void {
    if (this.#problem.textContent !== problem) this.#problem.textContent = problem;
    this.input.setAttribute("aria-invalid", String(problem !== ""));
  }
}

/** A place for a sentence that screen readers speak when it changes. */
export function notice(): HTMLElement {
  return h("p", { className: "notice", role: "status" });
}

/** Runs what a form is for, once at a time, with its button switched off meanwhile. */
export function onSubmit(form: HTMLFormElement, action: () => Promise<void>): void {
  form.noValidate = true; // what is wrong is said by us, next to the field
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    // Not `disabled`: the focus would be lost.
    button.setAttribute("aria-disabled", "true");
    await action().finally(() => button.removeAttribute("aria-disabled"));
  });
}
