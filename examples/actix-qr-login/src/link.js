// What both pages need: the API, the storage, and the connection of whoever is logged in.

export const $ = (id) => document.getElementById(id);

/** An element with its text, which is never markup. */
export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function parsed(text) {
  try { return JSON.parse(text) ?? undefined; } catch { return undefined; }
}

/** A value that outlives the page; where storage is switched off, only the page's own memory. */
export function stored(key, store) {
  return {
    get() { try { return parsed(store.getItem(key)); } catch { return undefined; } },
    set(value) { try { value === undefined ? store.removeItem(key) : store.setItem(key, JSON.stringify(value)); } catch { /* it ends with the page */ } },
  };
}

/** Asks the server; an error has the server's own words, which say what to do. */
export async function api(path, { body, token, method = body ? "POST" : "GET" } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Error("The server cannot be reached. Please try again.");
  }
  const answer = parsed(await response.text());
  if (response.ok) return answer;
  throw Object.assign(new Error(String(answer?.content ?? response.statusText)), { status: response.status });
}

const WORDS = { connecting: "Connecting …", open: "Connected", waiting: "Reconnecting …" };

/** Shows the state of the connection in the page's corner; nothing where there is none. */
export function showLink(state = "closed") {
  $("link").hidden = !WORDS[state];
  $("link").dataset.state = state;
  $("link").textContent = WORDS[state] ?? "";
}

// The words for an end that needs none of the server's; a kick brings its own.
const REASONS = {
  4301: "Your login has run out.", 4401: "Your login is no longer valid.", 4403: "You are not allowed to connect here.",
  4423: "You were logged out.", 4424: "You logged out in another tab.", 4425: "You were banned.",
};

/**
 * The presence socket of a login, by herenow's client, which comes back by itself until the server says stop. A token
 * cannot be refreshed here: its end is the login's.
 *
 * `load()`: whatever the page shows may have changed unheard. `push(kind, data)`: news. `end(text)`: over for good, and why.
 */
export function openLink(token, { user, load, push, end }) {
  const { Herenow } = globalThis.herenow; // presence/client.js
  const client = new Herenow("/ws", { token, client: "qr-login" });
  client.on("state", ({ state, code, message }) => {
    showLink(state);
    if (state === "closed" && code) end((code >= 4423 && message) || REASONS[code] || message || "");
  });
  client.on("welcome", (welcome) => {
    user?.(welcome.user);
    if (!welcome.resumed) load(); // Otherwise what was missed follows.
  });
  client.on("gap", load);
  client.on("push", ({ kind, data }) => push(kind, data));
  client.connect();
  return client;
}
