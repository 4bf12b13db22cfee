// How times and numbers are written, and how nodes are made.

export const time = (ms) => new Date(ms).toISOString().slice(11, 19);
export const dateTime = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
export const number = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 6 });
export const hours = (seconds) => (seconds / 3600).toLocaleString("en", { maximumFractionDigits: 3 });

/// An element with properties and children; strings become text, never markup.
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/// Sets a text only if it differs: what does not change is not touched.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
