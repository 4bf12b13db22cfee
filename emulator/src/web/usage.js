// Usage by hour: a row of bars for each dimension, each on its own scale, all over the same hours.

import { element, number } from "/web/text.js";

const SVG = "http://www.w3.org/2000/svg";
const HOURS = 24;
const HOUR_MS = 3600000;
const [WIDTH, HEIGHT] = [24, 60];

const chart = document.getElementById("usage-chart");
const empty = document.getElementById("usage-empty");
const hint = document.getElementById("usage-hint");
let drawn = "";

export function draw(bill) {
  const series = new Map();
  const add = (name, hour, quantity) => {
    const hours = series.get(name) ?? new Map();
    hours.set(Date.parse(hour), (hours.get(Date.parse(hour)) ?? 0) + Number(quantity));
    series.set(name, hours);
  };
  for (const line of bill.usage) add(`${line.product_code}: ${line.dimension}`, line.hour, line.quantity);
  for (const line of bill.task_hours) add(`${line.product_code}: task hours`, line.hour, line.seconds / 3600);
  const newest = Math.max(...[...series.values()].flatMap((hours) => [...hours.keys()]));
  const first = newest - (HOURS - 1) * HOUR_MS;
  const state = JSON.stringify([first, [...series].map(([name, hours]) => [name, [...hours]])]);
  if (state === drawn) return;
  drawn = state;
  empty.hidden = series.size > 0;
  hint.textContent = series.size ? `${label(first)} to ${label(newest)}, UTC` : "";
  const names = [...series.keys()].sort();
  chart.replaceChildren(...names.map((name, index) => figure(name, series.get(name), first, index)));
}

const label = (ms) => new Date(ms).toISOString().slice(5, 16).replace("T", " ");

function figure(name, hours, first, index) {
  const values = Array.from({ length: HOURS }, (_, hour) => hours.get(first + hour * HOUR_MS) ?? 0);
  const max = Math.max(...values, 0);
  const total = [...hours.values()].reduce((sum, value) => sum + value, 0);
  const caption = element("figcaption", {}, element("strong", {}, name), ` ${number(total)} in all, at most ${number(max)} an hour`);
  return element("figure", {}, caption, bars(values, max, first, index), table(name, values, first));
}

function bars(values, max, first, index) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${HOURS * WIDTH} ${HEIGHT + 16}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Bars; the numbers are in the table below");
  svg.classList.add("bars", `series-${index % 6}`);
  values.forEach((value, hour) => {
    const height = value === 0 ? 0 : Math.max(2, (value / (max || 1)) * HEIGHT);
    const at = label(first + hour * HOUR_MS);
    svg.append(shape("rect", { class: "slot", x: hour * WIDTH + 2, y: 0, width: WIDTH - 4, height: HEIGHT }, `${at}: ${number(value)}`));
    svg.append(shape("rect", { class: "bar", x: hour * WIDTH + 2, y: HEIGHT - height, width: WIDTH - 4, height }, `${at}: ${number(value)}`));
    if (hour % 4 === 3) svg.append(shape("text", { x: hour * WIDTH + WIDTH / 2, y: HEIGHT + 12 }, at.slice(6)));
  });
  return svg;
}

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (name === "text") node.textContent = text;
  else node.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: text }));
  return node;
}

function table(name, values, first) {
  const rows = values.map((value, hour) => [hour, value]).filter(([, value]) => value > 0).map(([hour, value]) =>
    element("tr", {}, element("th", { scope: "row" }, label(first + hour * HOUR_MS)), element("td", {}, number(value))));
  const body = element("table", {}, element("caption", {}, `${name} by hour`), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, "As numbers"), body);
}
