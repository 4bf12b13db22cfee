// Faults: choose one, see those that wait, end them.

import { send } from "/web/api.js";
import { dateTime, element } from "/web/text.js";

const field = (name) => document.getElementById(`faults-${name}`);
const [kind, list, count, probability, seed, lasts] = ["kind", "list", "count", "probability", "seed", "lasts"].map(field);
let drawn = "";

const KINDS = [
  "throttle", "error-500", "error-503", "delay", "drop-after", "drop-before", "reset-after", "reset-before", "truncate",
  "no-record-id", "unprocessed", "expired-credentials", "wrong-date",
];
const OPERATIONS = ["RegisterUsage", "MeterUsage", "BatchMeterUsage", "ResolveCustomer", "AssumeRoleWithWebIdentity"];
/// More names to choose from are no help.
const OFFERED = 200;
const offered = { dimension: new Set(), resource: new Set() };

export function start() {
  kind.append(...KINDS.map((name) => element("option", { value: name }, name)));
  field("operation").append(...OPERATIONS.map((name) => element("option", { value: name }, name)));
  const form = field("form");
  form.addEventListener("input", fit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send("POST", "/_tollgate/faults", asked());
  });
  field("clear").addEventListener("click", () => send("DELETE", "/_tollgate/faults"));
  fit();
}

/// Shows the fields that the choice so far has a use for.
function fit() {
  for (const [name, needed] of [["delay", kind.value === "delay"], ["skew", kind.value === "wrong-date"]]) {
    field(name).disabled = !needed;
    field(name).closest("label").hidden = !needed;
  }
  seed.disabled = probability.value === "";
  count.placeholder = probability.value || lasts.value ? "no end" : "1";
}

/// What the form says, without what it leaves open.
function asked() {
  const numbers = { count, probability, seed, for_s: lasts, skew_s: field("skew") };
  const texts = { operation: field("operation"), dimension: field("dimension"), resource: field("resource") };
  const fault = { fault: kind.value };
  for (const [name, { value }] of Object.entries(texts)) if (value) fault[name] = value;
  for (const [name, { value, disabled }] of Object.entries(numbers)) if (value && !disabled) fault[name] = Number(value);
  if (!field("delay").disabled) fault.delay_ms = Math.round(Number(field("delay").value) * 1000);
  return fault;
}

/// Offers the dimensions and resources that calls have named.
export function know(calls) {
  for (const { request, resource } of calls) {
    const records = Array.isArray(request?.UsageRecords) ? request.UsageRecords : [];
    for (const name of [request?.UsageDimension, ...records.map((record) => record?.Dimension)]) offer("dimension", name);
    offer("resource", resource);
  }
}

function offer(what, name) {
  const names = offered[what];
  if (typeof name !== "string" || !name || names.has(name) || names.size >= OFFERED) return;
  names.add(name);
  field(`${what}s`).append(element("option", { value: name }));
}

export function draw({ faults }) {
  const state = JSON.stringify(faults);
  if (state === drawn) return;
  drawn = state;
  list.replaceChildren(...faults.map(item));
}

function item(fault) {
  const whom = [fault.operation, fault.dimension, fault.resource].filter(Boolean).join(" ") || "any call";
  const how = [
    fault.probability === null ? "" : `each with probability ${fault.probability}, seed ${fault.seed}`,
    fault.left === null ? "" : `${fault.left} more`,
    fault.until_ms === null ? "" : `until ${dateTime(fault.until_ms)} UTC`,
    `hit ${fault.hits}`,
  ];
  const remove = element("button", { type: "button" }, "End");
  remove.setAttribute("aria-label", `End ${fault.fault}`);
  remove.addEventListener("click", async () => {
    await send("DELETE", `/_tollgate/faults/${fault.id}`);
    kind.focus();
  });
  const text = ` ${whom}, ${how.filter(Boolean).join(", ")}`;
  return element("li", {}, element("span", {}, element("strong", {}, fault.fault), text), remove);
}
