// The page's own few words for the DOM and the storage.

export const $ = (id) => document.getElementById(id);

/** A node with a class and a text; what others wrote is text and never markup. */
export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function button(className, text, onclick) {
  const node = make("button", className, text);
  return Object.assign(node, { type: "button", onclick });
}

/** One node for each thing, in their order. What shows the same as before is left alone: it may have the focus, or a finger on it. */
export function fill(list, things, key, shows, draw) {
  const before = new Map([...list.children].map((node) => [node.key, node]));
  const nodes = things.map((thing) => {
    const text = JSON.stringify(shows(thing));
    const old = before.get(key(thing));
    return old?.shows === text ? old : Object.assign(draw(thing), { key: key(thing), shows: text });
  });
  for (const node of [...list.children]) if (!nodes.includes(node)) node.remove();
  nodes.forEach((node, index) => list.children[index] !== node && list.insertBefore(node, list.children[index] ?? null));
}

let toastTimer;

/** A word that goes away by itself. */
export function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 4_000);
}

export function parsed(text) {
  try { return JSON.parse(text) ?? undefined; } catch { return undefined; }
}

/** What this tab keeps through a reload. */
export function stored(key, store = sessionStorage) {
  try { return parsed(store.getItem(key)); } catch { return undefined; }
}

export function store(key, value, where = sessionStorage) {
  try { value === undefined ? where.removeItem(key) : where.setItem(key, JSON.stringify(value)); } catch { /* storage is switched off: the tab lives without */ }
}
