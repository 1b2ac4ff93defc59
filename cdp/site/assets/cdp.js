// What the own pages need beside htmx and Alpine: the CSRF token for htmx, copy buttons, charts.
"use strict";

document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector('meta[name="csrf-token"]');
  if (token) event.detail.headers["X-CSRFToken"] = token.content;
});

// A fault answered to htmx is said where the answer would have gone, instead of vanishing.
document.addEventListener("htmx:responseError", (event) => {
  announce(`This did not work (status ${event.detail.xhr.status}). Reload the page and try again.`);
});

function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

// The shell's script looks for its own text field beside every file input, and fails on ours that have none.
document.addEventListener("change", (event) => {
  if (event.target.matches('input[type="file"].input')) event.stopImmediatePropagation();
}, true);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const text = source.value ?? source.textContent;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text.trim());
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    // Without a secure context there is no clipboard: select it, so that the keyboard can copy.
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    button.textContent = "Selected";
    announce("Selected: press Ctrl+C to copy");
  }
  setTimeout(() => { button.textContent = before; }, 2000);
});

// --- A slider over days beside a field for a date: <input type="range" data-date="id of the date"> ------------------

const DAY = 24 * 60 * 60 * 1000;

function showSliders() {
  for (const slider of document.querySelectorAll('input[type="range"][data-date]')) {
    const date = document.getElementById(slider.dataset.date);
    slider.max = Math.max(1, Math.round((Date.parse(date.max) - Date.parse(date.min)) / DAY));
    slider.value = date.value ? Math.round((Date.parse(date.value) - Date.parse(date.min)) / DAY) : slider.max;
    slider.setAttribute("aria-valuetext", date.value || date.max);
    slider.hidden = false;
  }
}

document.addEventListener("DOMContentLoaded", showSliders);
document.addEventListener("input", (event) => {
  if (event.target.matches('input[type="range"][data-date]')) {
    const date = document.getElementById(event.target.dataset.date);
    date.value = new Date(Date.parse(date.min) + Number(event.target.value) * DAY).toISOString().slice(0, 10);
    event.target.setAttribute("aria-valuetext", date.value);
  } else if (event.target.matches('input[type="date"]')) {
    showSliders();
  }
});

// --- Charts: <div class="plot"><canvas data-series="id of a json_script"></canvas></div> ---------------------------

const drawn = [];

function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function chartOptions(given) {
  const text = colour("--muted");
  const line = colour("--line");
  const stacked = Boolean(given.stacked);
  const names = { stacked, grid: { display: false }, ticks: { color: text, maxRotation: 0, autoSkipPadding: 16, autoSkip: !given.horizontal }, border: { color: line } };
  const amounts = { stacked, beginAtZero: true, min: given.min, max: given.max, grid: { color: line }, border: { display: false }, ticks: { color: text, precision: 0, maxTicksLimit: 6 } };
  return {
    indexAxis: given.horizontal ? "y" : "x",
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    interaction: { mode: "index", intersect: false, axis: given.horizontal ? "y" : "x" },
    plugins: { legend: { display: false }, tooltip: { filter: (item) => item.raw !== 0 || !stacked } },
    scales: given.horizontal ? { x: amounts, y: names } : { x: names, y: amounts },
  };
}

function drawCharts() {
  for (const chart of drawn.splice(0)) chart.destroy();
  for (const canvas of document.querySelectorAll("canvas[data-series]")) {
    const given = JSON.parse(document.getElementById(canvas.dataset.series).textContent);
    const datasets = given.series.map((series) => ({
      label: series.label,
      data: series.values,
      backgroundColor: colour(series.colour),
      borderColor: colour(series.colour),
      borderWidth: given.type === "line" ? 2 : 0,
      pointRadius: given.points ? 3 : 0,
      pointHitRadius: 12,
      stepped: given.stepped || false,
      maxBarThickness: 28,
    }));
    drawn.push(new Chart(canvas, { type: given.type, data: { labels: given.labels, datasets }, options: chartOptions(given) }));
  }
}

document.addEventListener("DOMContentLoaded", () => {
  if (typeof Chart === "undefined") return;
  Chart.defaults.font.family = "Inter, sans-serif";
  drawCharts();
  let dark = document.documentElement.classList.contains("dark");
  new MutationObserver(() => {
    const now = document.documentElement.classList.contains("dark");
    if (now !== dark) {
      dark = now;
      drawCharts();
    }
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.querySelector?.("canvas[data-series]")) drawCharts();
  });
});
