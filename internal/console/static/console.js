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

// A problem that htmx has put in place is what the person must see next.
document.addEventListener("htmx:afterSwap", () => {
  const problem = document.querySelector("#problem .problem");
  if (problem) problem.focus();
});

// htmx gives the focus back to the element with the same id. Where that has gone, the heading of what was swapped has it, so that the next Tab goes on from there.
document.addEventListener("htmx:afterSettle", () => {
  const heading = document.querySelector("[data-refocus]");
  if (heading && (document.activeElement === document.body || !document.activeElement)) heading.focus();
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
