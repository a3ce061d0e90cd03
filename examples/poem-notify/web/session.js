// What both pages have: the texts, the login, the connection with its state, the words for its end.

const { Herenow, UnauthorizedError } = globalThis.herenow; // presence/client.js

const TEXTS = {
  en: {
    other: "中文", name: "Name", password: "Password", device: "Device", login: "Log in", logout: "Log out", cancel: "Cancel",
    online: "online", away: "away", offline: "offline", lastSeen: "seen {when}", retryNow: "Try now", everybody: "Everybody",
    stateOffline: "Not connected", stateConnecting: "Connecting …", stateOnline: "Connected", stateWaiting: "Connection lost, trying again in {s} s",
    stateDrain: "The server restarts, back in {s} s", stateStopped: "Disconnected",
    errorPassword: "Wrong password.", error429: "Too many attempts. Please wait a little.", errorNetwork: "The server cannot be reached.",
    code1000: "The server closed the connection.", code4301: "Your login has run out. Please log in again.", code4401: "Your login is no longer valid. Please log in again.",
    code4403: "You are not allowed to connect here.", code4409: "You logged in somewhere else, and this connection gave way.", code4423: "You were kicked out.",
    code4424: "You were logged out.", code4425: "You were banned.", code4429: "Too many of your devices are connected.", codeStop: "The connection was ended ({code}).",
  },
  zh: {
    other: "English", name: "名字", password: "密码", device: "设备", login: "登录", logout: "退出登录", cancel: "取消",
    online: "在线", away: "离开", offline: "离线", lastSeen: "最后在线：{when}", retryNow: "立即重试", everybody: "所有人",
    stateOffline: "未连接", stateConnecting: "正在连接……", stateOnline: "已连接", stateWaiting: "连接断开，{s} 秒后重试",
    stateDrain: "服务器正在重启，{s} 秒后重连", stateStopped: "已断开",
    errorPassword: "密码不正确。", error429: "尝试次数过多，请稍候。", errorNetwork: "无法连接服务器。",
    code1000: "服务器关闭了连接。", code4301: "登录已过期，请重新登录。", code4401: "登录已失效，请重新登录。",
    code4403: "您无权连接此处。", code4409: "您已在别处登录，此连接被顶下线。", code4423: "您已被踢下线。",
    code4424: "您已退出登录。", code4425: "您的账号已被冻结。", code4429: "您登录的设备过多。", codeStop: "连接已结束（{code}）。",
  },
};

export const $ = (id) => document.getElementById(id);
export let login; // {token, name, device}
let page;
let lang = stored("notify.lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let ended; // {code, text}: why the connection ended for good
let toastTimer;
export let client; // one for each login
let skew = 0; // server time minus ours, in ms
let change = { state: "idle" }; // what the client said last
let retryAt = 0;


/**
 * A page is: `key` of its login in the storage, `texts`, `load()` for whatever may have changed unheard, `pushes` by kind,
 * `enter()`, `show()` in the language of now.
 */
export function start(aPage) {
  page = aPage;
  for (const [name, texts] of Object.entries(page.texts)) Object.assign(TEXTS[name], texts);
  $("login-view").addEventListener("submit", logIn);
  $("logout").addEventListener("click", logOut);
  $("retry").addEventListener("click", () => client?.connect());
  $("lang").addEventListener("click", () => {
    lang = lang === "zh" ? "en" : "zh";
    store("notify.lang", lang);
    translate();
  });
  setInterval(() => change.state === "waiting" && showState(), 1_000);
  if ($("device")) $("device").value = guessDevice();
  login = parsed(stored(page.key, sessionStorage)) ?? parsed(stored(page.key));
  if (login) return enter();
  translate();
  $("login-view").querySelector("input").focus();
}

// ---- Texts ----------------------------------------------------------------------------------------------------------

export function t(key, values = {}) {
  return (TEXTS[lang][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function translate() {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-placeholder]")) node.placeholder = t(node.dataset.i18nPlaceholder);
  for (const node of document.querySelectorAll("[data-i18n-label]")) node.setAttribute("aria-label", t(node.dataset.i18nLabel));
  $("lang").textContent = t("other");
  $("lang").lang = lang === "zh" ? "en" : "zh-CN";
  showState();
  showEnd();
  page.show();
}

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** A moment (ms) in words, by the server's clock. */
export function ago(ms) {
  const seconds = Math.max(0, (Date.now() + skew - ms) / 1000);
  const words = new Intl.RelativeTimeFormat(lang === "zh" ? "zh-CN" : "en", { numeric: "auto" });
  for (const [unit, size] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (seconds >= size) return words.format(-Math.round(seconds / size), unit);
  }
  return words.format(0, "second");
}

export function list(names) {
  return new Intl.ListFormat(lang === "zh" ? "zh-CN" : "en").format(names);
}

const RANK = { online: 0, away: 2, offline: 3 };
/** Online, a word of one's own, away, offline; then by name. */
export const byStatus = (a, b) => (RANK[a.status] ?? 1) - (RANK[b.status] ?? 1) || a.user.localeCompare(b.user);

export function standing({ status, lastSeen }) {
  const word = RANK[status] === undefined ? status : t(status);
  return status === "offline" && lastSeen ? `${word} · ${t("lastSeen", { when: ago(lastSeen) })}` : word;
}

export function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 5_000);
}

// ---- The server -----------------------------------------------------------------------------------------------------

export async function api(path, { method = "GET", body, keepalive } = {}) {
  const headers = login ? { Authorization: `Bearer ${login.token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", keepalive });
  const answer = parsed(await response.text());
  if (response.ok) return answer;
  throw Object.assign(new Error(String(answer?.content ?? response.statusText)), { status: response.status });
}

/** The refusal in the person's language where we know it, in the server's words otherwise. */
export function explain(error) {
  return error.status === undefined ? t("errorNetwork") : TEXTS[lang][`error${error.status}`] ?? error.message;
}

// ---- The login: one per tab, and the last one for the next tab ------------------------------------------------------

async function logIn(event) {
  event.preventDefault();
  $("login-error").textContent = "";
  $("login").disabled = true;
  try {
    const body = { name: $("name").value.trim(), device: $("device")?.value.trim() ?? "", password: $("password")?.value ?? "" };
    const { token, name } = await api("login", { method: "POST", body });
    remember({ token, name, device: body.device });
    enter();
  } catch (error) {
    $("login-error").textContent = error.status === 403 ? t("errorPassword") : explain(error);
  } finally {
    $("login").disabled = false;
    if ($("password")) $("password").value = "";
  }
}

function enter() {
  ended = undefined;
  remember(login);
  connect();
  page.enter();
  translate();
}

/** The page need not wait, nor stay open, until the server has heard of it. */
function logOut() {
  api("logout", { method: "POST", keepalive: true }).catch(() => { /* the login ends with its token */ });
  leave();
}

function leave(why) {
  ended = why;
  const old = client;
  client = undefined;
  old?.close(); // A log-out: others see it at once.
  if (!why) change = { state: "idle" };
  $("name").value = login?.name ?? $("name").value;
  if ($("device")) $("device").value = login?.device ?? $("device").value;
  store(page.key, undefined, sessionStorage);
  if (parsed(stored(page.key))?.token === login?.token) store(page.key, undefined);
  login = undefined;
  translate();
}

function remember(next) {
  login = next;
  store(page.key, JSON.stringify(next), sessionStorage);
  store(page.key, JSON.stringify(next));
}

export function stored(key, where = localStorage) {
  try { return where.getItem(key) ?? undefined; } catch { return undefined; }
}

export function store(key, value, where = localStorage) {
  try { value === undefined ? where.removeItem(key) : where.setItem(key, value); } catch { /* storage is switched off: the tab lives without */ }
}

function parsed(text) {
  try { return JSON.parse(text) ?? undefined; } catch { return undefined; }
}

function guessDevice() {
  const agent = navigator.userAgent;
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0].replace("Mac OS", "Mac") ?? "";
  const browser = /Firefox|Edg|Chrome|Safari/.exec(agent)?.[0].replace("Edg", "Edge") ?? "";
  return `${browser} ${system}`.trim() || "web";
}

// ---- The connection -------------------------------------------------------------------------------------------------

function connect() {
  const mine = client = new Herenow("ws", { token: login.token, getToken: renew, client: "notify", away: { hidden: 1_000 } });
  mine.on("state", (next) => mine === client && became(next));
  mine.on("welcome", ({ serverTime, resumed }) => {
    skew = serverTime - Date.now();
    if (!resumed) page.load(); // Otherwise what was missed follows.
  });
  mine.on("gap", () => page.load());
  mine.on("push", ({ kind, data }) => Object.hasOwn(page.pushes, kind) && page.pushes[kind](data));
  mine.on("error", ({ code, message }) => code === "token_failed" || toast(message)); // That one is tried again by itself.
  mine.connect();
}

/** A token for the one that is running out. */
async function renew() {
  const { name } = login;
  try {
    const { token } = await api("refresh", { method: "POST" });
    if (login?.name === name) remember({ ...login, token });
    return token;
  } catch (error) {
    throw error.status === 401 || error.status === 403 ? new UnauthorizedError(error.message) : error;
  }
}

function became(next) {
  change = next;
  const { state, code, reason, message, retryInMs = 0 } = next;
  retryAt = Date.now() + retryInMs;
  if (state !== "closed") return showState();
  // Without a code it was `renew` that ended it.
  leave(code ? { code, text: message } : { code: reason === "unauthorized" ? 4401 : reason });
}

/** Asks for what a list shows. The answer is not shown where the connection was lost meanwhile: the next one asks again. */
export async function fetched(path, shown) {
  const mark = client?.welcome;
  const isLate = () => mark === undefined || mark !== client?.welcome;
  try {
    const answer = await api(path);
    if (!isLate()) shown(answer);
  } catch (error) {
    if (!isLate()) toast(explain(error));
  }
}

const NAMES = { idle: "offline", open: "online", closed: "stopped" }; // what the page calls the client's states

function showState() {
  const state = NAMES[change.state] ?? change.state;
  const name = state === "waiting" && change.code === 4302 ? "Drain" : state[0].toUpperCase() + state.slice(1);
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  $("state").dataset.state = state;
  $("state").textContent = t(`state${name}`, { s: seconds });
  $("retry").hidden = state !== "waiting";
  $("login-view").hidden = login !== undefined;
  for (const node of document.querySelectorAll("[data-inside]")) node.hidden = login === undefined;
  $("me").textContent = [login?.name, login?.device].filter(Boolean).join(" · ");
}

function showEnd() {
  $("ended").hidden = ended === undefined;
  const { code = "", text } = ended ?? {};
  $("ended").dataset.code = code;
  $("ended-title").textContent = TEXTS[lang][`code${code}`] ?? t("codeStop", { code });
  $("ended-text").textContent = text ?? "";
}
