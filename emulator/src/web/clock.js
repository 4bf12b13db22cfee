// The emulator's clock: shown each second, moved by buttons.

import { send } from "/web/api.js";
import { dateTime, put } from "/web/text.js";

const now = document.getElementById("clock-now");
const header = document.getElementById("now");
const offset = document.getElementById("clock-offset");
const field = document.getElementById("clock-set");
const freeze = document.getElementById("clock-freeze");
/// What the clock showed at a time of this page, and how fast it runs.
let shown = null;

export function start() {
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => send("POST", "/_tollgate/clock", { advance_s: Number(button.dataset.advance) }));
  }
  freeze.addEventListener("click", () => {
    const frozen = freeze.getAttribute("aria-checked") === "true";
    send("POST", "/_tollgate/clock", { speed: frozen ? 1 : 0 });
  });
  document.getElementById("clock-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send("POST", "/_tollgate/clock", { set_s: Math.floor(Date.parse(`${field.value}Z`) / 1000) });
  });
  setInterval(tick, 1000);
}

export function draw(clock) {
  shown = { at: performance.now(), ms: clock.now_ms, speed: clock.speed };
  freeze.setAttribute("aria-checked", String(clock.speed === 0));
  const ahead = Math.round(clock.offset_ms / 1000);
  const speed = clock.speed === 1 ? "" : clock.speed === 0 ? ", stands still" : `, ${clock.speed} times as fast`;
  put(offset, (Math.abs(ahead) < 2 ? "the real time" : `${distance(ahead)} ${ahead > 0 ? "ahead" : "behind"}`) + speed);
  tick();
  if (!field.value) field.value = new Date(clock.now_ms).toISOString().slice(0, 19);
}

function tick() {
  if (!shown) return;
  const ms = shown.ms + (performance.now() - shown.at) * shown.speed;
  put(now, `${dateTime(ms)} UTC`);
  put(header, `${dateTime(ms)} UTC`);
}

function distance(seconds) {
  const all = Math.abs(seconds);
  const parts = [[Math.floor(all / 86400), "d"], [Math.floor(all / 3600) % 24, "h"], [Math.floor(all / 60) % 60, "min"], [all % 60, "s"]];
  return parts.filter(([value]) => value).slice(0, 2).map(([value, unit]) => `${value} ${unit}`).join(" ");
}
