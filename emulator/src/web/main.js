// Starts the parts of the page and keeps them fresh: one long poll says that something changed, then it is read.

import { follow, get } from "/web/api.js";
import * as bill from "/web/bill.js";
import * as calls from "/web/calls.js";
import * as clock from "/web/clock.js";
import * as faults from "/web/faults.js";
import * as keys from "/web/keys.js";
import * as subscriptions from "/web/subscriptions.js";
import * as usage from "/web/usage.js";

/// A burst of calls is not a burst of bills.
const PAUSE_MS = 500;

const connection = document.getElementById("connection");

function connected(yes) {
  const text = yes ? "connected" : "no connection, trying again";
  if (connection.textContent !== text) connection.textContent = text;
  connection.dataset.state = yes ? "good" : "bad";
}

async function refresh(version) {
  const changes = await get(`/_tollgate/changes?after=${version}&wait_s=${version ? 25 : 0}`);
  if (changes.version === version) return version;
  const paths = ["clock", "subscriptions", "faults", "bill", "invoices"];
  const [time, subscribed, waiting, billed, invoices] = await Promise.all(paths.map((path) => get(`/_tollgate/${path}`)));
  clock.draw(time);
  subscriptions.draw(subscribed.subscriptions);
  faults.draw(waiting);
  usage.draw(billed);
  bill.draw(invoices.invoices, billed.tasks);
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  return changes.version;
}

clock.start();
faults.start();
keys.start();
calls.start(connected);
follow(refresh, 0, connected);
