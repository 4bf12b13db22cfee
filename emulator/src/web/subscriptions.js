// A switch for each account and product. Nodes stay, so that the focus stays.

import { send } from "/web/api.js";
import { element, put } from "/web/text.js";

const list = document.getElementById("subscriptions-list");
const empty = document.getElementById("subscriptions-empty");
const switches = new Map();

export function draw(subscriptions) {
  empty.hidden = subscriptions.length > 0;
  const wanted = new Set();
  for (const { account, product_code: product, subscribed } of subscriptions) {
    const key = `${account} ${product}`;
    wanted.add(key);
    if (!switches.has(key)) switches.set(key, make(account, product));
    switches.get(key).button.setAttribute("aria-checked", String(subscribed));
    put(switches.get(key).state, subscribed ? "subscribed" : "ended");
  }
  for (const [key, { item }] of switches) {
    if (!wanted.has(key)) {
      item.remove();
      switches.delete(key);
    }
  }
}

function make(account, product) {
  const state = element("span", { className: "hint" });
  const button = element("button", { type: "button", role: "switch" },
    element("span", { className: "knob", "aria-hidden": "true" }), element("strong", {}, product), element("span", {}, account), state);
  button.addEventListener("click", () => {
    const subscribed = button.getAttribute("aria-checked") !== "true";
    send("PUT", `/_tollgate/subscriptions/${encodeURIComponent(product)}`, { account, subscribed });
  });
  const item = element("li", {}, button);
  list.append(item);
  return { item, button, state };
}
