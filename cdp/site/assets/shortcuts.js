// Keys for buttons: <button data-shortcut="s"> is pressed by the key s, unless somebody types into a field.
// With data-reach the key only moves the focus there: nothing is chosen or sent by it.
"use strict";

document.addEventListener("keydown", (event) => {
  // A key that is held down would answer for pairs that nobody has seen yet.
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const button = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (!button || button.disabled) return;
  event.preventDefault();
  if ("reach" in button.dataset) button.focus();
  else button.click();
});

// A slider over rows of a table: the row of its value is shown, and read out.
document.addEventListener("input", (event) => {
  const slider = event.target.closest("[data-rows]");
  if (!slider) return;
  for (const row of document.querySelectorAll(`#${slider.dataset.rows} tr`)) {
    const chosen = row.dataset.value === Number(slider.value).toFixed(2);
    row.classList.toggle("differs", chosen);
    if (chosen) slider.setAttribute("aria-valuetext", row.textContent.trim().replace(/\s+/g, " "));
  }
});
