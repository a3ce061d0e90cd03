// The phone: logged in by itself, it lets browsers in and throws them out.

import { $, api, make, openLink, stored } from "/link.js";
import { showLogins } from "/logins.js";

const login = stored("herenow.qr.phone", localStorage);
let code = new URLSearchParams(location.search).get("code") ?? undefined;
let token;
let link;
let leaving = false; // the person's own wish, which needs no explanation

// ---- The phone's own login ----------------------------------------------------------------------------------------------

async function logIn(event) {
  event.preventDefault();
  await trying($("login"), $("login-error"), async () => {
    const next = await api("/v1/phone/login", { body: { name: $("name").value } });
    login.set(next);
    enter(next);
  });
}

function enter(next) {
  ({ token } = next);
  for (const node of document.querySelectorAll(".me")) node.textContent = next.name;
  link = openLink(token, { load: loadLogins, push: (kind) => kind === "logins" && loadLogins(), end: leave });
  if (code) scan();
  else show("home-view");
}

async function logOut() {
  leaving = true;
  await trying($("logout"), $("home-error"), async () => {
    await api("/v1/logout", { method: "POST", token });
    leave();
  });
  leaving = false;
}

function leave(why = "") {
  if (!token) return; // The socket said so, and then the answer, or the other way round.
  const old = link;
  if (login.get()?.token === token) login.set(undefined);
  token = link = undefined;
  old.close();
  $("logins").replaceChildren();
  showBanner(leaving ? "" : why);
  show("login-view");
}

// ---- The code that was scanned ------------------------------------------------------------------------------------------

async function scan() {
  try {
    const { browser } = await api("/v1/qr-login/scan", { body: { code }, token });
    $("browser").textContent = browser;
    $("ask-error").textContent = "";
    show("ask-view");
  } catch (error) {
    giveUp(error);
  }
}

async function answer(button, path, news) {
  await trying(button, $("ask-error"), async () => {
    try {
      done(news(await api(path, { body: { code }, token })));
    } catch (error) {
      if (error.status === undefined || error.status >= 500) throw error; // Worth another try.
      giveUp(error);
    }
  });
}

/** Nothing more can be done with this code, and the server says why. */
function giveUp(error) {
  if (error.status === 401) return leave("Your login is no longer valid.");
  done("");
  showBanner(sentence(error.message));
}

/** The code is used up, so a reload must not scan it again. */
function done(news) {
  code = undefined;
  history.replaceState(null, "", location.pathname);
  showBanner("");
  $("news").textContent = news;
  $("news").className = news ? "done" : "";
  show("home-view");
}

// ---- Where else the user is logged in -----------------------------------------------------------------------------------

async function loadLogins() {
  try {
    const { logins } = await api("/v1/logins", { token });
    showLogins($("logins"), logins, endButton);
    $("home-error").textContent = "";
  } catch (error) {
    if (error.status !== 401) $("home-error").textContent = sentence(error.message);
  }
}

function endButton({ handle, device }) {
  const button = make("button", "danger small", "Log out");
  button.type = "button";
  button.setAttribute("aria-label", `Log out ${device}`);
  button.addEventListener("click", () => trying(button, $("home-error"), async () => {
    await api("/v1/logins/end", { body: { handle }, token });
    $("news").textContent = `${device} is logged out.`;
    $("news").className = "done";
    await loadLogins();
  }));
  return button;
}

// ---- The page -------------------------------------------------------------------------------------------------------------

/** Runs what a button stands for; what speaks against it is shown beside it. */
async function trying(button, place, run) {
  button.disabled = true;
  place.textContent = "";
  try {
    await run();
  } catch (error) {
    place.textContent = sentence(error.message);
  } finally {
    button.disabled = false;
  }
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function show(view) {
  for (const id of ["login-view", "ask-view", "home-view"]) $(id).hidden = id !== view;
  if (view !== "login-view") $(view).querySelector("h2").focus();
  else $("name").focus();
}

function showBanner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

$("login-view").addEventListener("submit", logIn);
$("logout").addEventListener("click", logOut);
$("confirm").addEventListener("click", () => answer($("confirm"), "/v1/qr-login/confirm", ({ browser, told }) =>
  told ? `${browser} is logged in.` : `${browser} cannot be reached just now. It is logged in if it comes back at once.`));
$("cancel").addEventListener("click", () => answer($("cancel"), "/v1/qr-login/cancel", () => "Cancelled. Nobody was logged in."));

const known = login.get();
if (known) enter(known);
else show("login-view");
