// The queue of privacy requests by keyboard. Keys work only while the focus is in the table (WCAG 2.1.4).
"use strict";

document.addEventListener("keydown", (event) => {
  const table = event.target.closest("[data-queue], .scroll:has([data-queue])");
  if (!table || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const links = [...table.querySelectorAll("tbody th a")];
  const here = links.indexOf(document.activeElement);
  const next = links[here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step];
  if (next) {
    next.focus();
    event.preventDefault();
  }
});
