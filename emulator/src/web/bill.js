// The bill: what each customer pays for each month, and the tasks that AWS meters by itself.

import { dateTime, element, hours, number } from "/web/text.js";

const TASKS = 50;
const tables = document.getElementById("bill-tables");
const empty = document.getElementById("bill-empty");
let drawn = "";

export function draw(invoices, tasks) {
  const state = JSON.stringify([invoices, tasks]);
  if (state === drawn) return;
  drawn = state;
  empty.hidden = invoices.length > 0;
  tables.replaceChildren(...invoices.map(invoice), ...(tasks.length ? [running(tasks)] : []));
}

function invoice({ customer, month, lines, total, currency }) {
  const head = ["Product", "Dimension", "Quantity", "Price", `Amount (${currency})`];
  const rows = lines.map((line) => {
    const seconds = line.unit === "seconds";
    const quantity = seconds ? `${hours(line.quantity)} h` : number(line.quantity);
    return [line.product_code, line.dimension ?? "task hours", quantity, line.price ?? "no price", line.amount ?? ""];
  });
  const foot = element("tr", {}, element("th", { scope: "row", colSpan: 4 }, "Total"), element("td", {}, total));
  return table(`Customer ${customer}, ${month}`, head, rows, 2, foot);
}

function running(tasks) {
  const rows = tasks.slice(0, TASKS).map((task) => [
    task.resource,
    dateTime(task.from_ms),
    task.ended_ms === null ? "runs" : dateTime(task.ended_ms),
    `${number(task.seconds)} s`,
  ]);
  const more = tasks.length > TASKS ? `, the first ${TASKS} of ${tasks.length}` : "";
  return table(`Tasks and pods that AWS meters${more}`, ["Resource", "Billed from", "Until", "Billed"], rows, 3);
}

function table(caption, head, rows, firstNumber, foot) {
  const cell = (text, column) => element("td", { className: column >= firstNumber ? "number" : "" }, String(text));
  const header = (text, column) => element("th", { scope: "col", className: column >= firstNumber ? "number" : "" }, text);
  const body = rows.map((row) => element("tr", {}, ...row.map(cell)));
  return element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head.map(header))),
    element("tbody", {}, ...body),
    ...(foot ? [element("tfoot", {}, foot)] : []));
}
