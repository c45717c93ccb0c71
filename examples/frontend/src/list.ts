/** The page of whoever is logged in: the tasks. */

import { Field, h, notice, onSubmit } from "./dom";
import { explain, Problem } from "./problem";
import type { Session, User } from "./session";
import { Tasks, type Task } from "./tasks";

const LONGEST_TITLE = 200;

export function list(session: Session, user: User, onLogOut: () => Promise<void>): HTMLElement {
  const api = new Tasks(session, user.id);
  let tasks: Task[] | undefined;
  let underWay = Promise.resolve();

  const logOut = h("button", { type: "button", className: "quiet" }, "Log out");
  logOut.addEventListener("click", () => void onLogOut());
  const title = new Field("New task", { id: "title", autocomplete: "off", maxLength: LONGEST_TITLE });
  const form = h(
    "form",
    { className: "add" },
    title.element,
    h("button", { type: "submit" }, "Add"),
  );
  const status = notice();
  const items = h("ul", { className: "tasks" });
  const count = h("p", { className: "count", role: "status" }, "Loading…");
  const page = h(
    "div",
    { className: "list" },
    h(
      "header",
      {},
      h("h1", { tabIndex: -1 }, "Tasks"),
      h("p", { className: "who", title: user.email }, user.email),
      logOut,
    ),
    form,
    status,
    items,
    count,
  );

  onSubmit(form, () =>
    attempt(async () => {
      const text = title.input.value.trim();
      title.show(text === "" ? "What is there to do?" : "");
      title.input.focus();
      if (text === "") return;
      replace(await api.add(text));
      title.input.value = "";
    }),
  );
  // Whoever comes back to the tab sees what happened meanwhile.
  const load = () => attempt(async () => draw(await api.list()));
  const seen = () => {
    if (!page.isConnected) document.removeEventListener("visibilitychange", seen);
    else if (document.visibilityState === "visible") void load();
  };
  document.addEventListener("visibilitychange", seen);
  void load();
  return page;

  /** Runs one action after the other, so that an older answer never covers a newer one. */
  function attempt(action: () => Promise<void>): Promise<void> {
    const run = () => told(action);
    underWay = underWay.then(run, run);
    return underWay;
  }

  /** Says what went wrong. Being logged out says itself: the page changes. */
  async function told(action: () => Promise<void>): Promise<void> {
    try {
      status.textContent = "";
      await action();
    } catch (problem) {
      if (problem instanceof Problem && problem.code === "LOGGED_OUT") return;
      status.textContent = explain(problem);
      if (!tasks) count.textContent = "";
    }
  }

  function replace(task: Task): void {
    const others = (tasks ?? []).filter(({ id }) => id !== task.id);
    draw([...others, task].sort((a, b) => a.id - b.id));
  }

  function draw(now: Task[]): void {
    tasks = now;
    const focused = document.activeElement?.id;
    items.replaceChildren(...now.map(item));
    if (focused) document.getElementById(focused)?.focus();
    const open = now.filter((task) => !task.completed).length;
    count.textContent =
      now.length === 0 ? "Nothing to do yet." : `${open} of ${now.length} still to do`;
  }

  function item(task: Task): HTMLElement {
    const id = `task-${task.id}`;
    const box = h("input", { type: "checkbox", id, checked: task.completed });
    box.addEventListener("change", () =>
      attempt(async () => replace(await api.toggle(task.id))).then(() => {
        // If it failed, the box shows again what is so.
        box.checked = tasks?.find(({ id }) => id === task.id)?.completed ?? false;
      }),
    );
    const remove = h(
      "button",
      { type: "button", className: "quiet", ariaLabel: `Delete “${task.title}”` },
      "Delete",
    );
    remove.addEventListener("click", () =>
      attempt(async () => {
        await api.remove(task.id);
        draw((tasks ?? []).filter(({ id }) => id !== task.id));
        title.input.focus();
      }),
    );
    return h("li", {}, box, h("label", { htmlFor: id }, task.title), remove);
  }
}
