// The list of calls. However many there are, only the rows in view exist; they are filled anew as the list moves.

import { follow, get } from "/web/api.js";
import { know } from "/web/faults.js";
import { element, put, time } from "/web/text.js";

const ROW = 30;
const SPARE = 6;
const KEPT = 50000;

const list = document.getElementById("calls-list");
const space = document.getElementById("calls-space");
const count = document.getElementById("calls-count");
const empty = document.getElementById("calls-empty");
const filter = document.getElementById("calls-filter");
const detail = document.getElementById("detail");

/// All calls kept, oldest first, and those that the filter lets through.
let all = [];
let shown = all;
let words = [];
/// The call under the cursor, by number, so that it stays under it when others arrive.
let cursor = null;
const rows = [];

export function start(connected) {
  list.addEventListener("scroll", () => draw(), { passive: true });
  new ResizeObserver(() => draw()).observe(list);
  list.addEventListener("keydown", key);
  list.addEventListener("click", click);
  filter.addEventListener("input", () => {
    words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = words.length ? all.filter(fits) : all;
    list.scrollTop = 0;
    draw();
  });
  follow(next, { after: 0, wait: 0 }, connected);
}

async function next({ after, wait }) {
  const page = await get(`/_tollgate/calls?after=${after}&wait_s=${wait}`);
  // A number that went back: another emulator answers now.
  if (page.newest < after) {
    all = [];
    shown = words.length ? [] : all;
    draw();
    return { after: 0, wait: 0 };
  }
  if (page.calls.length) add(page.calls);
  return { after: page.last, wait: 25 };
}

function add(calls) {
  for (const call of calls) {
    call.text = [call.operation, what(call), call.verdict, call.rule, answer(call), call.resource, call.fault ?? ""].join(" ").toLowerCase();
  }
  know(calls);
  const before = shown.length;
  all.push(...calls);
  if (all.length > KEPT) all.splice(0, all.length - KEPT);
  if (words.length) shown.push(...calls.filter(fits));
  // The newest is on top. Whoever reads further down keeps what is in view.
  const read = list.scrollTop;
  resize();
  if (read > 0) list.scrollTop = read + (shown.length - before) * ROW;
  draw();
}

function resize() {
  if (Number(list.getAttribute("aria-rowcount")) === shown.length) return;
  list.setAttribute("aria-rowcount", shown.length);
  space.style.height = `${shown.length * ROW}px`;
}

const fits = (call) => words.every((word) => call.text.includes(word));
const at = (index) => shown[shown.length - 1 - index];

/// Draws the rows in view. A row has its place from the bottom, where the oldest call is: a new call on top moves none.
function draw() {
  put(count, words.length ? `${shown.length} of ${all.length}` : String(all.length));
  empty.hidden = shown.length > 0;
  if (all.length) put(empty, "No call fits the filter.");
  resize();
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const visible = Math.ceil(list.clientHeight / ROW) + 2 * SPARE;
  const last = Math.min(shown.length, first + visible);
  while (rows.length < visible) rows.push(makeRow());
  for (let index = first; index < last; index++) {
    const place = shown.length - 1 - index;
    fill(rows[place % rows.length], place, index, shown[place]);
  }
  const [lowest, highest] = [shown.length - last, shown.length - 1 - first];
  for (const row of rows) {
    if (!row.node.hidden && (row.place < lowest || row.place > highest)) row.node.hidden = true;
  }
  const active = rows.find((row) => !row.node.hidden && row.seq === cursor)?.node.id ?? "";
  if ((list.getAttribute("aria-activedescendant") ?? "") !== active) list.setAttribute("aria-activedescendant", active);
}

function makeRow() {
  const cells = Array.from({ length: 7 }, () => element("span", { role: "gridcell" }));
  const node = element("div", { className: "row", role: "row", id: `call-row-${rows.length}`, hidden: true }, ...cells);
  space.append(node);
  return { node, cells, place: -1, seq: null };
}

function fill(row, place, index, call) {
  if (row.node.hidden) row.node.hidden = false;
  const selected = String(call.seq === cursor);
  if (row.node.getAttribute("aria-selected") !== selected) row.node.setAttribute("aria-selected", selected);
  row.node.ariaRowIndex = String(index + 1);
  if (row.place !== place) {
    row.place = place;
    row.node.style.bottom = `${place * ROW}px`;
  }
  if (row.seq === call.seq) return;
  row.seq = call.seq;
  const texts = [`${call.seq}`, time(call.at_ms), call.operation, what(call), call.verdict, call.rule, answer(call)];
  texts.forEach((text, column) => put(row.cells[column], text));
  row.node.dataset.verdict = call.verdict;
  row.node.dataset.fault = call.fault ?? "";
}

export function what(call) {
  const request = call.request ?? {};
  const records = request.UsageRecords;
  if (Array.isArray(records)) return `${records.length} records`;
  if (request.UsageDimension) {
    return `${request.UsageDimension} ${request.UsageQuantityAsDecimal ?? request.UsageQuantity ?? 0}`;
  }
  return request.ProductCode ?? "";
}

export function answer(call) {
  const fault = call.fault ? ` (${call.fault})` : "";
  if (call.status === 0) return `no answer${fault}`;
  return `${call.status} ${call.code ?? "ok"}${fault}`;
}

function key(event) {
  const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  const from = shown.findLastIndex((call) => call.seq === cursor);
  const index = from < 0 ? -1 : shown.length - 1 - from;
  if (event.key in steps && shown.length) {
    event.preventDefault();
    move(Math.min(shown.length - 1, Math.max(0, index + steps[event.key])));
  } else if (event.key === "Enter" && index >= 0) {
    event.preventDefault();
    open(at(index));
  }
}

function move(index) {
  cursor = at(index).seq;
  const top = index * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  draw();
}

function click(event) {
  const row = rows.find((row) => row.node === event.target.closest(".row"));
  if (!row) return;
  cursor = row.seq;
  draw();
  open(shown[row.place]);
}

function open({ text, ...call }) {
  document.getElementById("detail-title").textContent = `Call ${call.seq}: ${call.operation}`;
  const facts = { Verdict: call.verdict, Rule: call.rule, Answer: answer(call), Resource: call.resource || "unknown" };
  const list = Object.entries(facts).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  document.getElementById("detail-facts").replaceChildren(...list);
  document.getElementById("detail-json").textContent = JSON.stringify(call, null, 2);
  detail.showModal();
}
