// Faults: choose one, see those that wait, end them.

import { send } from "/web/api.js";
import { element } from "/web/text.js";

const kind = document.getElementById("faults-kind");
const operation = document.getElementById("faults-operation");
const dimension = document.getElementById("faults-dimension");
const count = document.getElementById("faults-count");
const list = document.getElementById("faults-list");
let drawn = "";

const KINDS = [
  "throttle", "error-500", "error-503", "delay", "drop-after", "drop-before", "reset-after", "reset-before", "truncate",
  "no-record-id", "unprocessed", "expired-credentials", "wrong-date",
];
const OPERATIONS = ["RegisterUsage", "MeterUsage", "BatchMeterUsage", "ResolveCustomer"];

export function start() {
  kind.append(...KINDS.map((name) => element("option", { value: name }, name)));
  operation.append(...OPERATIONS.map((name) => element("option", { value: name }, name)));
  document.getElementById("faults-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const fault = { fault: kind.value, count: Number(count.value) };
    if (operation.value) fault.operation = operation.value;
    if (dimension.value) fault.dimension = dimension.value;
    if (kind.value === "delay") fault.delay_ms = 2000;
    send("POST", "/_tollgate/faults", fault);
  });
  document.getElementById("faults-clear").addEventListener("click", () => send("DELETE", "/_tollgate/faults"));
}

export function draw({ faults }) {
  const state = JSON.stringify(faults);
  if (state === drawn) return;
  drawn = state;
  list.replaceChildren(...faults.map(item));
}

function item(fault) {
  const left = fault.left === null ? "until ended" : `${fault.left} more`;
  const whom = [fault.operation, fault.dimension, fault.resource].filter(Boolean).join(" ") || "any call";
  const remove = element("button", { type: "button" }, "End");
  remove.setAttribute("aria-label", `End ${fault.fault}`);
  remove.addEventListener("click", async () => {
    await send("DELETE", `/_tollgate/faults/${fault.id}`);
    kind.focus();
  });
  return element("li", {}, element("span", {}, element("strong", {}, fault.fault), ` ${whom}, ${left}, hit ${fault.hits}`), remove);
}
