// The user's page: a bell, what came, how one is, and how the others are.

import { $, ago, api, byStatus, client, explain, fetched, login, make, standing, start, store, stored, t, toast } from "./session.js";

const TEXTS = {
  en: {
    loginTitle: "Your notifications", loginHint: "Any name will do. Log in, close the page, let the admin send you something, and come back.",
    people: "People", count: "{n} here", nobody: "Nobody else has been here yet", notifications: "Notifications", unread: "{n} unread",
    read: "Mark as read", readAll: "Mark all read", nothing: "Nothing yet", close: "Close", gotIt: "Got it", heard: "New notification: {title}",
    announcement: "announcement", onlyHere: "for this device", myStatus: "Your status", own: "Own word …", ownWord: "Your status in a word",
    ownWordHint: "Others see it in place of “online”", set: "Set", leaveAll: "Offline: log out everywhere",
  },
  zh: {
    loginTitle: "您的通知", loginHint: "名字随意。登录后关闭页面，让管理员给您发一条，再回来看看。",
    people: "成员", count: "{n} 人在线", nobody: "还没有其他人来过", notifications: "通知", unread: "{n} 条未读",
    read: "标为已读", readAll: "全部已读", nothing: "还没有通知", close: "关闭", gotIt: "知道了", heard: "新通知：{title}",
    announcement: "公告", onlyHere: "仅此设备", myStatus: "您的状态", own: "自定义……", ownWord: "用一个词说明您的状态",
    ownWordHint: "其他人会看到它，而不是“在线”", set: "设置", leaveAll: "离线：在所有设备上退出",
  },
};

// ---- Notifications --------------------------------------------------------------------------------------------------

const SHOWN = 100;
const notes = new Map(); // id -> {id, title, text, sent, announcement, device, read}
const rows = new Map(); // id -> its node; kept as it is while nothing changes, for it may have the focus

/** From the list or from a push, whichever was first: each counts once. */
function take(note) {
  if (notes.has(note.id)) return false;
  notes.set(note.id, note);
  return true;
}

function loadNotes() {
  return fetched("me/notifications", ({ notifications }) => {
    for (const note of notifications) {
      take(note);
      notes.get(note.id).read ||= note.read;
    }
    showNotes();
  });
}

function unread() {
  return [...notes.values()].filter((note) => !note.read);
}

/** Ids are in the order of time. */
function newestFirst() {
  return [...notes.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

function showNotes() {
  const newest = newestFirst();
  for (const old of newest.splice(SHOWN)) notes.delete(old.id);
  for (const [id, row] of rows) if (!notes.has(id)) { row.remove(); rows.delete(id); }
  newest.forEach((note, index) => {
    const row = rows.get(note.id) ?? noteRow(note);
    rows.set(note.id, row);
    fillNote(row, note);
    if ($("notes").children[index] !== row) $("notes").insertBefore(row, $("notes").children[index] ?? null);
  });
  $("notes").dataset.empty = t("nothing");
  showUnread();
  showAnnouncement();
}

function noteRow(note) {
  const row = make("li", "note");
  row.dataset.id = note.id;
  const [title, text] = [make("strong", "", note.title), make("p", "", note.text)];
  title.dir = text.dir = "auto";
  const read = make("button", "small");
  read.type = "button";
  read.onclick = () => markRead([note.id]);
  row.append(title, make("small"), text, read);
  return row;
}

function fillNote(row, note) {
  const [, small, , read] = row.children;
  row.dataset.read = note.read === true;
  const about = [ago(note.sent), note.announcement && t("announcement"), note.device && `${t("onlyHere")}: ${note.device}`];
  small.textContent = about.filter(Boolean).join(" · ");
  small.title = new Date(note.sent).toLocaleString();
  read.textContent = t("read");
  read.setAttribute("aria-label", `${t("read")}: ${note.title}`);
  read.hidden = note.read === true;
}

function showUnread() {
  const count = unread().length;
  $("badge").textContent = count > 99 ? "99+" : count;
  $("badge").hidden = count === 0;
  $("bell").setAttribute("aria-label", `${t("notifications")}, ${t("unread", { n: count })}`);
  $("read-all").disabled = count === 0;
  document.title = login && count > 0 ? `(${count}) herenow notify` : "herenow notify";
}

/** The newest announcement that was not read yet. */
function showAnnouncement() {
  const note = newestFirst().find((one) => one.announcement && !one.read);
  $("announcement").hidden = note === undefined || login === undefined;
  if (note === undefined || $("announcement").dataset.id === note.id) return;
  $("announcement").dataset.id = note.id;
  $("announcement-title").textContent = note.title;
  $("announcement-text").textContent = note.text;
}

/** Shown at once, and told to the server, which tells the other tabs. */
async function markRead(ids) {
  seeRead(ids);
  try {
    await api("me/read", { method: "POST", body: { ids } });
  } catch (error) {
    for (const id of ids) if (notes.has(id)) notes.get(id).read = false;
    showNotes();
    toast(explain(error));
  }
}

function seeRead(ids) {
  for (const id of ids) if (notes.has(id)) notes.get(id).read = true;
  showNotes();
}

function showPanel(open) {
  document.body.classList.toggle("panel", open);
  $("bell").setAttribute("aria-expanded", open);
}

function closePanel() {
  showPanel(false);
  $("bell").focus();
}

// ---- How one is: a word for every device, remembered for the next connection. That nobody is at the page, the client
// notices by itself: it is away then, whatever its word.

let choice = stored("notify.status") ?? "online";

function showChoice() {
  const options = [["online", t("online")], ["away", t("away")]];
  if (choice !== "online" && choice !== "away") options.push([choice, choice]);
  options.push(["…", t("own")], ["offline", t("leaveAll")]);
  $("status").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  $("status").value = choice;
}

function choose() {
  const word = $("status").value;
  showChoice(); // Until it is done, the old one stands.
  if (word !== "…") return setStatus(word);
  $("word-text").value = "";
  $("word").showModal();
}

async function setStatus(status) {
  try {
    await api("me/status", { method: "PUT", body: { status } });
    if (status === "offline") return;
    store("notify.status", status);
    chose(status);
  } catch (error) {
    toast(explain(error));
  }
}

/** Here, or in another tab. */
function chose(status) {
  choice = status;
  client?.status(choice);
  showChoice();
}

// ---- How the others are ---------------------------------------------------------------------------------------------

const people = new Map(); // name -> {user, status, lastSeen}

function loadPeople() {
  return fetched("people", ({ people: all }) => {
    people.clear();
    for (const one of all) people.set(one.user, one);
    showPeople();
  });
}

function showPeople() {
  const others = [...people.values()].filter(({ user }) => user !== login?.name).sort(byStatus);
  $("count").textContent = t("count", { n: others.filter(({ status }) => status !== "offline").length });
  $("people").dataset.empty = t("nobody");
  $("people").replaceChildren(...others.map((one) => {
    const row = make("li", "person");
    Object.assign(row.dataset, { user: one.user, status: one.status });
    const [who, how] = [make("strong", "", one.user), make("small", "", standing(one))];
    who.dir = how.dir = "auto";
    row.append(make("span", "dot"), who, how);
    return row;
  }));
}

// ---- Wiring ---------------------------------------------------------------------------------------------------------

function forget() {
  notes.clear();
  people.clear();
}

const wide = matchMedia("(min-width: 800px)");

start({
  key: "notify.login",
  texts: TEXTS,
  enter() {
    forget();
    client.status(choice);
    showPanel(wide.matches);
  },
  show() {
    if (!login) forget(); // The next person at this screen is somebody else, perhaps.
    showChoice();
    showNotes();
    showPeople();
  },
  load() {
    loadNotes();
    loadPeople();
  },
  pushes: {
    notification(note) {
      if (!take(note)) return;
      showNotes();
      $("heard").textContent = t("heard", { title: note.title });
      if (!document.body.classList.contains("panel")) toast(note.title);
    },
    read: ({ ids }) => seeRead(ids),
    presence(one) {
      people.set(one.user, one);
      showPeople();
    },
  },
});

$("bell").addEventListener("click", () => {
  showPanel(!document.body.classList.contains("panel"));
  if (document.body.classList.contains("panel")) $("panel").focus();
});
$("close-panel").addEventListener("click", closePanel);
$("panel").addEventListener("keydown", ({ key }) => key === "Escape" && closePanel());
$("read-all").addEventListener("click", () => markRead(unread().map(({ id }) => id)));
$("announcement-read").addEventListener("click", () => markRead([$("announcement").dataset.id]));
$("status").addEventListener("change", choose);
$("word-cancel").addEventListener("click", () => $("word").close());
$("word-form").addEventListener("submit", () => setStatus($("word-text").value.trim()));
addEventListener("storage", ({ key, newValue }) => {
  if (key === "notify.status" && newValue) chose(newValue);
});
setInterval(() => {
  showNotes();
  showPeople();
}, 30_000);
