// The login, and the connection's state in words. One login per tab; a new tab takes the last one.

import { $, parsed, store, stored } from "./dom.js";
import { known, t } from "./texts.js";

const KEY = "channels.login";

export let login = stored(KEY) ?? stored(KEY, localStorage); // {token, name, data, staff}

export function remember(next) {
  login = next;
  store(KEY, next);
  store(KEY, next, localStorage);
}

export function forget() {
  store(KEY, undefined);
  if (stored(KEY, localStorage)?.token === login?.token) store(KEY, undefined, localStorage);
  login = undefined;
}

/** Asks the server as the user; a refusal is an error with its `status` and the server's words. */
export async function api(path, { body, token = login?.token } = {}) {
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { "Content-Type": "application/json" }) };
  const response = await fetch(path, { method: "POST", headers, body: body && JSON.stringify(body), cache: "no-store" });
  const answer = parsed(await response.text());
  if (response.ok) return answer;
  throw Object.assign(new Error(String(answer?.content ?? response.statusText)), { status: response.status });
}

/** A refusal in the person's language where we know it, in the server's words otherwise. */
export function explain({ status, message }) {
  if (status === undefined) return t("errorNetwork");
  return known(`error${status}`) ? t(`error${status}`) : message;
}

/** The client's `getToken`: a new token for the one that is running out. */
export async function refresh() {
  try {
    const { token } = await api("refresh");
    remember({ ...login, token });
    return token;
  } catch (error) {
    if (error.status === 401) throw new herenow.UnauthorizedError(error.message);
    throw error;
  }
}

// ---- The state line -------------------------------------------------------------------------------------------------

let client;
let change = { state: "idle" };
let retryAt = 0;

/** Shows how this client stands, until there is another. */
export function follow(next) {
  client = next;
  heard({ state: next.state });
  next.on("state", (change) => client === next && heard(change));
}

function heard(next) {
  change = next;
  retryAt = Date.now() + (next.retryInMs ?? 0);
  showState();
}

export function showState() {
  const { state, reason } = change;
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const name = state === "waiting" && reason === "drain" ? "Drain" : state[0].toUpperCase() + state.slice(1);
  $("state").dataset.state = state;
  $("state").textContent = t(`state${name}`, { s: seconds });
  $("retry").hidden = state !== "waiting";
}

$("retry").onclick = () => client?.connect();
setInterval(() => change.state === "waiting" && showState(), 1_000);
