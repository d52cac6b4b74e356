// What pages cannot do by themselves: "/" focuses the search, buttons copy, lists grow by a row. Every page works without it.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    return;
  }
  const add = event.target.closest("[data-add-row]");
  if (add) {
    const rows = document.getElementById(add.dataset.addRow);
    const row = rows.lastElementChild.cloneNode(true);
    const number = rows.children.length;
    row.querySelectorAll("[name], [id], [for]").forEach((element) => {
      for (const attribute of ["name", "id", "for", "data-drop"]) {
        const value = element.getAttribute(attribute);
        if (value) element.setAttribute(attribute, value.replace(/\d+/, number));
      }
      if (element.matches("[type=checkbox]")) element.checked = false;
      else if (element.matches("input, textarea")) element.value = "";
    });
    row.querySelectorAll("details").forEach((details) => { details.open = false; });
    rows.append(row);
    add.hidden = rows.children.length >= Number(add.dataset.most);
    row.querySelector("input").focus();
  }
});

// Buttons that need this file show themselves only now.
const reveal = (root) => {
  if (navigator.clipboard) root.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
  root.querySelectorAll("[data-add-row]").forEach((button) => { button.hidden = false; });
};
reveal(document);
document.addEventListener("htmx:afterSettle", (event) => reveal(event.target));

// A form is sent once, however often its button is clicked; the back button brings it back as it was. htmx disables the buttons of its own.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// trouble says above the page what stands in the way of something in it. Nothing that was typed is lost by it.
const trouble = (title, detail, link) => {
  const there = document.getElementById("trouble");
  const idle = !document.activeElement || document.activeElement === document.body || document.activeElement.disabled; // Whoever types goes on typing.
  if (there?.querySelector("h2").textContent === title) { // It stands there already.
    if (idle) there.focus();
    return;
  }
  const box = document.createElement("section");
  box.id = "trouble";
  box.className = "problem";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  box.append(Object.assign(document.createElement("h2"), { textContent: title }), Object.assign(document.createElement("p"), { textContent: detail }));
  if (link) box.lastChild.append(" ", Object.assign(document.createElement("a"), { textContent: "Sign in", href: link, target: "_blank", rel: "noopener" }));
  there?.remove();
  document.getElementById("content").prepend(box);
  if (idle) box.focus();
};

// An answer that has not what was asked for is not put in its place: it says what went wrong.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (xhr.status < 400) {
    document.getElementById("trouble")?.remove();
    return;
  }
  const answer = new DOMParser().parseFromString(xhr.response, "text/html");
  const wanted = requestConfig.elt.closest("[hx-select]")?.getAttribute("hx-select");
  if (xhr.status !== 401 && wanted && answer.querySelector(wanted)) {
    document.getElementById("trouble")?.remove();
    return;
  }
  event.detail.shouldSwap = false;
  if (xhr.status === 401) {
    trouble("You are signed out", "The session has ended. Sign in in another tab, then go on here: nothing is lost.", "/console/sign-in");
    return;
  }
  const text = (selector) => answer.querySelector(selector)?.textContent.trim();
  trouble(text("main h1") || "This did not work", text("main .lead") || text("main p") || "The server does not say why.");
});
for (const failure of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => trouble("The server cannot be reached", "Nothing has come back. Look at the connection, then try again."));
}

// A problem that htmx has put in place is what the person must see next.
document.addEventListener("htmx:afterSwap", () => {
  const problem = document.querySelector("#problem .problem");
  document.querySelectorAll("[data-told]").forEach((field) => { field.removeAttribute("aria-invalid"); field.closest(".field")?.classList.remove("wrong"); delete field.dataset.told; });
  if (!problem) return;
  problem.focus();
  problem.querySelectorAll("[data-field]").forEach((line) => {
    const field = document.getElementById(`f-${line.dataset.field}`);
    if (!field) return;
    field.dataset.told = "yes";
    field.setAttribute("aria-invalid", "true");
    field.closest(".field")?.classList.add("wrong");
  });
});

// Whoever had the focus when a request began has it again: on the element with the same id, or where that has gone on the heading of what was swapped, so that the next Tab goes on
// from there. htmx does the former by itself, but not for a button that was disabled meanwhile: browsers take the focus off it.
let focused = null;
document.addEventListener("htmx:beforeRequest", () => {
  focused = document.activeElement === document.body ? null : document.activeElement;
});
document.addEventListener("htmx:afterSettle", () => {
  if (!focused || (document.activeElement && document.activeElement !== document.body)) return;
  const again = (focused.id && document.getElementById(focused.id)) || document.querySelector("[data-refocus]");
  focused = null;
  if (again) again.focus();
});

// A file that is dropped on a text is taken as the file beside it.
document.addEventListener("dragover", (event) => {
  if (event.target.closest?.("textarea[data-drop]") && event.dataTransfer.types.includes("Files")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const box = event.target.closest?.("textarea[data-drop]");
  if (!box || event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  const input = document.getElementById(box.dataset.drop);
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

// A page that comes with a problem begins there.
document.querySelector(".problem[tabindex]")?.focus();
