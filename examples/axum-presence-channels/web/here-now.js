// `hereNow`, asked over the socket and over REST at the same moment, and compared byte by byte.

import { $ } from "./dom.js";
import { t } from "./texts.js";

const SOON = 300; // ms: events come in bursts

let asker; // {goEasy, token(), channels(isAll)}
let round = 0;
let timer;

export function start(next) {
  asker = next;
  asker.goEasy.client.on("welcome", askSoon);
}

export function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(ask, SOON);
}

async function ask() {
  clearTimeout(timer);
  const mine = ++round;
  const { goEasy, token, channels } = asker;
  if (goEasy.client.state !== "open") return; // `welcome` asks again
  const question = { channels: channels($("which").value === "all"), includeUsers: $("include-users").checked, distinct: $("distinct").checked };
  verdict("", t("asking"));

  const [bySocket, byRest] = await Promise.all([overSocket(goEasy, question), overRest(token(), question)]);
  if (mine !== round) return;
  $("socket-request").textContent = `goEasy.hereNow(${JSON.stringify(question)}, callback)`;
  $("rest-request").textContent = `GET ${path(question)}`;
  $("by-socket").textContent = pretty(bySocket);
  $("by-rest").textContent = pretty(byRest ?? t("unreachable"));
  if (bySocket === byRest) verdict("equal", t("equal", { n: new TextEncoder().encode(byRest).length }));
  else verdict("unequal", t("unequal"));
}

/** The response as one line of JSON. */
function overSocket(goEasy, question) {
  return new Promise((resolve) => goEasy.hereNow(question, (response) => resolve(JSON.stringify(response))));
}

/** The body as it came; nothing where the server cannot be reached. */
async function overRest(token, question) {
  try {
    const response = await fetch(path(question), { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
    return await response.text();
  } catch {
    return undefined;
  }
}

/** As seed 4 has it. GoEasy's `appkey` is passed over: the token says who asks. */
function path({ channels, includeUsers, distinct }) {
  const query = new URLSearchParams({ appkey: "my_appkey" });
  for (const channel of channels) query.append("channel", channel);
  query.append("includeUsers", includeUsers);
  query.append("distinct", distinct);
  return `/herenow?${query}`;
}

function pretty(json) {
  try { return JSON.stringify(JSON.parse(json), null, 2); } catch { return json; }
}

function verdict(state, words) {
  $("verdict").dataset.state = state;
  $("verdict").textContent = words;
}

$("here-now-form").onsubmit = (event) => {
  event.preventDefault();
  ask();
};
for (const id of ["which", "include-users", "distinct"]) $(id).onchange = ask;
