// The admin's page: send to some, to one device, to all; who is here, with what; kick out.

import { $, api, byStatus, explain, fetched, list, login, make, standing, start, t, toast } from "./session.js";

const TEXTS = {
  en: {
    loginTitle: "Admin", loginHint: "The password stands in the line the server said when it started.", compose: "New notification",
    to: "To", chosen: "Chosen users", oneDevice: "One device", title: "Title", text: "Text", send: "Send", sentLog: "Sent", users: "Users", count: "{n} here",
    toAll: "An announcement, for everybody who ever logged in.", toNobody: "Tick users in the list.", toThese: "To {who}.", toDevice: "Choose a device in the list, or type one that is offline.",
    reached: "reached {n}", reachedNobody: "reached nobody now", later: "later: {who}", more: "{n} more", nobody: "Nobody has logged in yet", choose: "Choose {who}",
    kick: "Kick out", kickTitle: "Kick out {who}", kickReason: "Reason, shown to the person", kickBan: "Keep out", kicked: "{who} was kicked out",
    ban0: "No: a new login is welcome", ban60: "for a minute", ban3600: "for an hour", ban86400: "for a day",
  },
  zh: {
    loginTitle: "管理员", loginHint: "密码写在服务器启动时的那一行里。", compose: "新通知",
    to: "发送给", chosen: "选中的用户", oneDevice: "一台设备", title: "标题", text: "内容", send: "发送", sentLog: "已发送", users: "用户", count: "{n} 人在线",
    toAll: "公告：发给登录过的所有人。", toNobody: "请在列表中勾选用户。", toThese: "发给{who}。", toDevice: "在列表中点选设备，或输入一台离线的设备。",
    reached: "已送达 {n} 个连接", reachedNobody: "当前无人收到", later: "上线后补发：{who}", more: "另外 {n} 人", nobody: "还没有人登录过", choose: "选择 {who}",
    kick: "踢下线", kickTitle: "把 {who} 踢下线", kickReason: "原因（对方会看到）", kickBan: "禁止登录", kicked: "已把 {who} 踢下线",
    ban0: "不禁止，可重新登录", ban60: "一分钟", ban3600: "一小时", ban86400: "一天",
  },
};

// ---- Sending --------------------------------------------------------------------------------------------------------

const SENT = 50; // kept on the page
const NAMED = 5; // of those who get it later
const chosen = new Set();
const sent = []; // {title, to, report}, the newest first

const kind = () => document.querySelector('input[name="to"]:checked').value;

function setKind(value) {
  document.querySelector(`input[name="to"][value="${value}"]`).checked = true;
  showTo();
}

function showTo() {
  const names = [...chosen];
  $("device-row").hidden = kind() !== "device";
  $("device-user").required = $("device-name").required = kind() === "device";
  $("whom").textContent = {
    everyone: t("toAll"),
    users: names.length ? t("toThese", { who: list(names) }) : t("toNobody"),
    device: t("toDevice"),
  }[kind()];
  $("send").disabled = kind() === "users" && names.length === 0;
}

function showHints() {
  const options = (values) => [...new Set(values)].map((value) => Object.assign(document.createElement("option"), { value }));
  const meant = people.get($("device-user").value);
  $("names").replaceChildren(...options(people.keys()));
  $("devices").replaceChildren(...options((meant?.devices ?? []).map(({ device }) => device)));
}

/** What the server wants as `to`, and how the log calls it. */
function target() {
  const [user, device] = [$("device-user").value.trim(), $("device-name").value.trim()];
  return {
    everyone: ["everyone", undefined],
    users: [{ users: [...chosen] }, list([...chosen])],
    device: [{ device: { user, device } }, `${user} · ${device}`],
  }[kind()];
}

async function send(event) {
  event.preventDefault();
  const [to, name] = target();
  const title = $("title").value.trim();
  $("send").disabled = true;
  try {
    const report = await api("admin/send", { method: "POST", body: { to, title, text: $("text").value.trim() } });
    sent.unshift({ title, name, report });
    sent.splice(SENT);
    $("title").value = $("text").value = "";
    showSent();
  } catch (error) {
    toast(explain(error));
  }
  showTo();
  $("title").focus();
}

function showSent() {
  $("sent").hidden = sent.length === 0;
  $("sent").replaceChildren(...sent.map(({ title, name, report: { id, reached, later } }) => {
    const row = make("li");
    Object.assign(row.dataset, { id, reached });
    const what = make("strong", "", title);
    what.dir = "auto";
    const rest = later.length - NAMED;
    const who = list([...later.slice(0, NAMED), ...(rest > 0 ? [t("more", { n: rest })] : [])]);
    const outcome = [reached > 0 ? t("reached", { n: reached }) : t("reachedNobody"), later.length > 0 && t("later", { who })];
    row.append(what, make("small", "", [name ?? t("everybody"), ...outcome].filter(Boolean).join(" · ")));
    return row;
  }));
}

// ---- Users ----------------------------------------------------------------------------------------------------------

const people = new Map(); // name -> {user, status, lastSeen, devices}
const rows = new Map(); // name -> its node; what has not changed is left alone, for it may have the focus
const shown = new WeakMap(); // node -> what it shows

function loadPeople() {
  return fetched("people", ({ people: all }) => {
    people.clear();
    for (const one of all) people.set(one.user, one);
    showPeople();
  });
}

function showPeople() {
  const sorted = [...people.values()].sort(byStatus);
  $("count").textContent = t("count", { n: sorted.filter(({ status }) => status !== "offline").length });
  $("people").dataset.empty = t("nobody");
  for (const [name, row] of rows) if (!people.has(name)) { row.remove(); rows.delete(name); }
  sorted.forEach((one, index) => {
    const row = rows.get(one.user) ?? make("li", "person");
    rows.set(one.user, row);
    fillPerson(row, one);
    if ($("people").children[index] !== row) $("people").insertBefore(row, $("people").children[index] ?? null);
  });
  showHints();
}

function fillPerson(row, one) {
  const shows = JSON.stringify([one, chosen.has(one.user), standing(one), t("kick")]);
  if (shown.get(row) === shows) return;
  shown.set(row, shows);
  Object.assign(row.dataset, { user: one.user, status: one.status });
  const tick = make("input");
  Object.assign(tick, { type: "checkbox", checked: chosen.has(one.user), onchange: () => tickUser(one.user, tick.checked) });
  tick.setAttribute("aria-label", t("choose", { who: one.user }));
  const [who, how] = [make("strong", "", one.user), make("small", "", standing(one))];
  who.dir = how.dir = "auto";
  const devices = make("span", "devices");
  for (const [label, away] of labels(one.devices ?? [])) {
    const button = make("button", "small", away ? `${label} · ${t("away")}` : label);
    Object.assign(button, { type: "button", onclick: () => pickDevice(one.user, label) });
    button.dataset.device = label;
    devices.append(button);
  }
  const kick = make("button", "small danger", t("kick"));
  Object.assign(kick, { type: "button", onclick: () => askKick(one.user), hidden: one.status === "offline" });
  kick.dataset.kick = one.user;
  kick.setAttribute("aria-label", t("kickTitle", { who: one.user }));
  row.replaceChildren(tick, make("span", "dot"), who, how, kick, devices);
}

/** Each device once, away where all of its sessions are. One without a name cannot be sent to. */
function labels(devices) {
  const all = new Map();
  for (const { device, status } of devices) if (device) all.set(device, (all.get(device) ?? true) && status === "away");
  return all;
}

function tickUser(name, ticked) {
  ticked ? chosen.add(name) : chosen.delete(name);
  setKind("users");
}

function pickDevice(user, device) {
  $("device-user").value = user;
  $("device-name").value = device;
  setKind("device");
  $("title").focus();
}

// ---- Kicking --------------------------------------------------------------------------------------------------------

let kicking; // whom, while the dialog is open

function askKick(name) {
  kicking = name;
  $("kick-title").textContent = t("kickTitle", { who: name });
  $("kick-reason").value = "";
  $("kick-ban").value = "0";
  $("kick").showModal();
}

async function kickOut() {
  const [who, banSeconds] = [kicking, Number($("kick-ban").value)];
  const body = { loginId: who, reason: $("kick-reason").value.trim(), ...(banSeconds > 0 && { banSeconds }) };
  try {
    await api("presence/kick", { method: "POST", body });
    toast(t("kicked", { who }));
  } catch (error) {
    toast(explain(error));
  }
}

// ---- Wiring ---------------------------------------------------------------------------------------------------------

function forget() {
  people.clear();
  chosen.clear();
  sent.length = 0;
}

start({
  key: "notify.admin",
  texts: TEXTS,
  enter: forget,
  show() {
    if (!login) forget();
    showTo();
    showSent();
    showPeople();
  },
  load: loadPeople,
  pushes: {
    presence(one) {
      people.set(one.user, one);
      showPeople();
    },
  },
});

$("compose").addEventListener("submit", send);
$("compose").addEventListener("change", ({ target: { name } }) => name === "to" && showTo());
$("device-user").addEventListener("input", showHints);
$("kick-form").addEventListener("submit", kickOut);
$("kick-cancel").addEventListener("click", () => $("kick").close());
setInterval(showPeople, 30_000);
