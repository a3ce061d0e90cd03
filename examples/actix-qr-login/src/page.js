// The browser that wants to be logged in: shows the code, waits, and is logged in until it is told otherwise.

import { $, api, make, openLink, parsed, showLink, stored } from "/link.js";
import { showLogins } from "/logins.js";

const login = stored("herenow.qr.web", localStorage); // for all tabs, and for tomorrow
const session = stored("herenow.qr.session", sessionStorage); // for this tab, and its reload

// ---- The code ---------------------------------------------------------------------------------------------------------

let qr; // {sessionId, qrSvg, scanUrl, until}
let waiting; // the socket that waits
let retryTimer, attempt = 0;

async function newCode() {
  hangUp();
  $("renew").disabled = true;
  try {
    const answer = await api("/v1/qr-login", { method: "POST" });
    showCode({ ...answer, until: Date.now() + answer.expiresIn });
  } catch (error) {
    showStatus("failed", error.message);
  } finally {
    $("renew").disabled = false;
  }
}

function showCode(next) {
  qr = next;
  session.set(qr);
  $("qr").src = `data:image/svg+xml,${encodeURIComponent(qr.qrSvg)}`;
  $("scan").href = qr.scanUrl;
  wait();
  showStatus("waiting");
}

/**
 * Waits for the phone. The server says how things stand, also after a reload; it ends the code on its own clock. Who waits
 * is nobody yet, and hears the application's own JSON and no envelopes: so it is a plain WebSocket.
 */
function wait() {
  clearTimeout(retryTimer);
  const mine = waiting = new WebSocket(`${location.origin.replace("http", "ws")}/v1/ws/qr/${encodeURIComponent(qr.sessionId)}`);
  mine.onopen = () => mine === waiting && showLink("open");
  mine.onmessage = ({ data }) => mine === waiting && hear(parsed(data) ?? {});
  mine.onclose = () => {
    if (mine !== waiting) return;
    showLink("waiting");
    retryTimer = setTimeout(wait, backOff(attempt++));
  };
}

/** Full jitter, so that ten thousand pages do not come back in step. */
const backOff = (attempt) => 250 + Math.random() * Math.min(20_000, 500 * 2 ** attempt);

function hear({ status, web_token: token }) {
  if (status === "scanned") return showStatus(status);
  if (status === "confirmed") return enter({ token });
  if (status !== "expired" && status !== "cancelled") return;
  hangUp();
  session.set(undefined);
  showStatus(status);
}

function hangUp() {
  clearTimeout(retryTimer);
  const old = waiting;
  waiting = undefined;
  attempt = 0;
  old?.close();
  showLink();
}

const STATUS = {
  waiting: { text: "Waiting for your phone …" },
  scanned: { text: "Scanned. Now confirm on your phone.", mark: "phone" },
  expired: { text: "This code has expired.", mark: "clock", renew: true },
  cancelled: { text: "Cancelled on the phone.", mark: "cross", renew: true },
  failed: { mark: "warning", renew: true },
};

function showStatus(status, text = STATUS[status].text) {
  const { mark, renew = false } = STATUS[status];
  $("code").dataset.status = status;
  $("status").textContent = text;
  $("mark").className = `icon ${mark}`;
  $("veil").hidden = !mark;
  $("renew").hidden = !renew;
  $("after").hidden = status !== "waiting";
  showTime();
}

/** The seconds that are left, for the eye; what counts is the server's word. */
function showTime() {
  const open = waiting !== undefined && qr !== undefined;
  const seconds = open ? Math.max(0, Math.ceil((qr.until - Date.now()) / 1000)) : 0;
  $("left").hidden = seconds === 0;
  $("left").textContent = `Good for ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// ---- Logged in ----------------------------------------------------------------------------------------------------------

let link;
let token;
let leaving = false; // the person's own wish, which needs no explanation
const people = new Map(); // name -> status

function enter(next) {
  hangUp();
  session.set(undefined);
  qr = undefined;
  login.set(next);
  ({ token } = next);
  show("home-view");
  link = openLink(token, { user: greet, load, push, end: leave });
}

function greet(user) {
  const first = $("me").textContent !== user;
  $("me").textContent = user;
  document.title = `${user} · herenow QR login`;
  if (first) $("home-title").focus();
}

function load() {
  loadPeople();
  loadLogins();
}

function push(kind, data) {
  if (kind === "logins") loadLogins();
  if (kind !== "presence") return;
  if (data.status === "offline") people.delete(data.id);
  else people.set(data.id, data.status);
  showPeople();
}

async function loadPeople() {
  await attempted(async () => {
    const { content } = await api("/presence/online", { token });
    people.clear();
    for (const { id, status } of content.users) people.set(id, status);
    showPeople();
  });
}

async function loadLogins() {
  await attempted(async () => showLogins($("logins"), (await api("/v1/logins", { token })).logins));
}

function showPeople() {
  $("people").replaceChildren(...[...people].sort().map(([name, status]) => {
    const row = make("li");
    row.dataset.user = name;
    row.dataset.status = status;
    const what = make("span", "what", name);
    what.dir = "auto";
    row.append(make("span", "dot"), what, make("small", "", status));
    return row;
  }));
}

async function attempted(run) {
  try {
    await run();
    $("home-error").textContent = "";
  } catch (error) {
    // A login that ended says so on the socket.
    if (error.status !== 401) $("home-error").textContent = error.message;
  }
}

async function logOut() {
  $("logout").disabled = leaving = true;
  await attempted(async () => {
    await api("/v1/logout", { method: "POST", token });
    leave();
  });
  $("logout").disabled = leaving = false;
}

/** Back to the code. `why` is for the person. */
function leave(why = "") {
  if (!link) return;
  const old = link;
  link = undefined;
  old.close();
  if (login.get()?.token === token) login.set(undefined);
  token = undefined;
  people.clear();
  for (const id of ["people", "logins", "me"]) $(id).replaceChildren();
  document.title = "Log in · herenow QR login";
  showBanner(leaving ? "" : why);
  show("qr-view");
  newCode();
}

// ---- The page -------------------------------------------------------------------------------------------------------------

function show(view) {
  for (const id of ["qr-view", "home-view"]) $(id).hidden = id !== view;
  if (view === "home-view") showBanner("");
}

function showBanner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

$("renew").addEventListener("click", () => { newCode(); $("qr-title").focus(); });
$("logout").addEventListener("click", logOut);
setInterval(showTime, 1000);
addEventListener("online", () => { if (waiting?.readyState === WebSocket.CLOSED) wait(); });
// Another tab logged in: this one has the login too.
addEventListener("storage", ({ key }) => {
  const next = key === "herenow.qr.web" && login.get();
  if (next && !link) enter(next);
});

const known = login.get();
if (known) {
  enter(known);
} else {
  show("qr-view");
  const before = session.get();
  if (before) showCode(before);
  else newCode();
}
