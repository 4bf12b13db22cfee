// Shortcuts and the theme. A shortcut never fires while somebody types.

import { element } from "/web/text.js";

const THEMES = ["system", "light", "dark"];
const help = document.getElementById("help");

const focus = (id) => () => document.getElementById(id).focus();
const SHORTCUTS = [
  ["c", "Calls", focus("calls-list")],
  ["/", "Filter the calls", focus("calls-filter")],
  ["k", "Clock", focus("clock-title")],
  ["s", "Subscriptions", focus("subscriptions-title")],
  ["f", "Faults", focus("faults-kind")],
  ["u", "Usage", focus("usage-title")],
  ["b", "Bill", focus("bill-title")],
  ["t", "Theme", turnTheme],
  ["?", "This list", () => help.showModal()],
];

export function start() {
  const lines = SHORTCUTS.flatMap(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)]);
  document.getElementById("help-list").append(...lines);
  document.getElementById("help-open").addEventListener("click", () => help.showModal());
  document.getElementById("theme").addEventListener("click", turnTheme);
  showTheme(localStorage.getItem("theme") ?? "system");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const shortcut = SHORTCUTS.find(([key]) => key === event.key);
    if (!shortcut) return;
    event.preventDefault();
    shortcut[2]();
  });
}

function turnTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  showTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme-name").textContent = theme;
  localStorage.setItem("theme", theme);
}
