/** The page for users who are logged in: their tasks. */

import { Field, h, notice, onSubmit } from "./dom";
import { explain, Problem } from "./problem";
import type { Session, User } from "./session";
import { Tasks, type Task } from "./tasks";

const MAX_TITLE_LENGTH = 200;

export function taskPage(session: Session, user: User, onLogOut: () => Promise<void>): HTMLElement {
  const api = new Tasks(session, user.id);
  let tasks: Task[] | undefined;
  let pending = Promise.resolve();

  const logOut = h("button", { type: "button", className: "quiet" }, "Log out");
  logOut.addEventListener("click", () => void onLogOut());
  const title = new Field("New task", {
    id: "title",
    autocomplete: "off",
    maxLength: MAX_TITLE_LENGTH,
  });
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
    { className: "task-page" },
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
    enqueue(async () => {
      const text = title.input.value.trim();
      title.show(text === "" ? "Please enter a task." : "");
      title.input.focus();
      if (text === "") return;
      replace(await api.add(text));
      title.input.value = "";
    }),
  );
  // Loads the tasks again when the tab becomes visible, since they may have changed.
  const load = () => enqueue(async () => draw(await api.list()));
  const reloadWhenVisible = () => {
    if (!page.isConnected) document.removeEventListener("visibilitychange", reloadWhenVisible);
    else if (document.visibilityState === "visible") void load();
  };
  document.addEventListener("visibilitychange", reloadWhenVisible);
  void load();
  return page;

  /** Runs actions one after the other, so that an older response cannot replace a newer one. */
  function enqueue(action: () => Promise<void>): Promise<void> {
    const run = () => runAndShowErrors(action);
    pending = pending.then(run, run);
    return pending;
  }

  /** Runs an action and shows its error. After a logout, the login page is shown instead. */
  async function runAndShowErrors(action: () => Promise<void>): Promise<void> {
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
    const otherTasks = (tasks ?? []).filter(({ id }) => id !== task.id);
    draw([...otherTasks, task].sort((a, b) => a.id - b.id));
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
      enqueue(async () => replace(await api.toggle(task.id))).then(() => {
        // After an error, the box must show the stored state again.
        box.checked = tasks?.find(({ id }) => id === task.id)?.completed ?? false;
      }),
    );
    const remove = h(
      "button",
      { type: "button", className: "quiet", ariaLabel: `Delete “${task.title}”` },
      "Delete",
    );
    remove.addEventListener("click", () =>
      enqueue(async () => {
        await api.remove(task.id);
        draw((tasks ?? []).filter(({ id }) => id !== task.id));
        title.input.focus();
      }),
    );
    return h("li", {}, box, h("label", { htmlFor: id }, task.title), remove);
  }
}
