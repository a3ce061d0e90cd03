// What both pages need: the API, the storage, and a small client of the protocol herenow.v1.json.

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

export function socketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

/** Full jitter, so that ten thousand pages do not come back in step. */
export const backOff = (attempt) => 250 + Math.random() * Math.min(20_000, 500 * 2 ** attempt);

const WORDS = { connecting: "Connecting …", online: "Connected", waiting: "Reconnecting …", offline: "Not connected" };

/** Shows the state of the connection in the page's corner. */
export function showLink(state) {
  $("link").hidden = state === undefined;
  $("link").dataset.state = state ?? "";
  $("link").textContent = WORDS[state] ?? "";
}

/**
 * A presence socket that comes back by itself until the server says stop.
 * `welcome(user)`: connected. `push(kind, data)`: news. `end(text)`: over for good, and why.
 */
export function openLink(token, { welcome, push, end }) {
  let socket, retryTimer, watchdog, farewell, silence = 40_000, attempt = 0, over = false;

  function connect() {
    clearTimeout(retryTimer);
    showLink("connecting");
    farewell = undefined;
    const mine = socket = new WebSocket(socketUrl("/ws"), ["herenow.v1.json", bearer(token)]);
    socket.onopen = () => mine === socket && send({ type: "hello", client: "qr-login" });
    socket.onmessage = ({ data }) => mine === socket && receive(parsed(data));
    socket.onclose = ({ code }) => mine === socket && ended(farewell?.code ?? code);
  }

  function receive(frame) {
    listen();
    if (frame?.type === "ping") send({ type: "pong" });
    if (frame?.type === "push") push(frame.kind, frame.data);
    if (frame?.type === "kicked" || frame?.type === "goodbye") farewell = frame;
    if (frame?.type !== "welcome") return;
    attempt = 0;
    silence = frame.heartbeat.interval + frame.heartbeat.timeout;
    showLink("online");
    welcome(frame.user);
  }

  /** A server that says nothing for one heartbeat is gone. */
  function listen() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => { socket.close(4100); ended(1006); }, silence + 5_000);
  }

  function ended(code) {
    clearTimeout(watchdog);
    socket = undefined;
    if (over) return;
    if (advice(code) === "stop") { over = true; showLink(); return end(REASONS[code] ?? "", farewell?.message ?? ""); }
    showLink("waiting");
    retryTimer = setTimeout(connect, farewell?.reconnectInMs ?? backOff(attempt++));
  }

  function send(frame) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }

  function retryNow() {
    if (!socket && !over) connect();
  }
  addEventListener("online", retryNow);

  connect();
  return {
    close() {
      over = true;
      clearTimeout(retryTimer);
      clearTimeout(watchdog);
      removeEventListener("online", retryNow);
      socket?.close(1000);
      socket = undefined;
      showLink();
    },
  };
}

/** The token as a subprotocol: it stands in no address and no log. */
function bearer(token) {
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  return `base64url.bearer.herenow.${base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The table of close codes, for a client that cannot refresh its token. */
function advice(code) {
  if ([1001, 1006, 1011, 1012, 1013, 4302].includes(code)) return "backOff";
  return code >= 4500 || (code >= 4100 && code < 4300) ? "backOff" : "stop";
}

const REASONS = {
  4301: "Your login has run out.", 4401: "Your login is no longer valid.", 4403: "You are not allowed to connect here.",
  4423: "You were logged out.", 4424: "You logged out in another tab.", 4425: "You were banned.",
};
