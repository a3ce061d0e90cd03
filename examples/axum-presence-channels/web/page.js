// The page: the login, the client, the list of rooms, and which of them is open.

import { $, button, fill, make, store, stored } from "./dom.js";
import * as hereNow from "./here-now.js";
import { clearRoom, drawRoom } from "./room.js";
import { Rooms } from "./rooms.js";
import { api, explain, follow, forget, login, refresh, remember, showState } from "./session.js";
import { known, locale, speak, t } from "./texts.js";

const AWAY = { hidden: 3_000 }; // sooner than the client's own 10 s, so that one sees it happen

let goEasy;
let rooms;
let channel = "room-lobby"; // the open room
let ended; // {code, text}: why the connection ended for good
let isStale = false;

// ---- Coming and going -----------------------------------------------------------------------------------------------

async function logIn(event) {
  event.preventDefault();
  $("login-error").textContent = "";
  $("login").disabled = true;
  try {
    const data = $("data").value.trim();
    const answer = await api("login", { body: { name: $("name").value, password: $("password").value }, token: null });
    remember({ ...answer, data });
    start();
  } catch (error) {
    if (error.status === 403) $("password-row").hidden = false;
    $("login-error").textContent = explain(error);
  } finally {
    $("login").disabled = false;
    $("password").value = "";
  }
}

function start() {
  ended = undefined;
  goEasy = new herenow.GoEasy({ url: "/ws", token: login.token, getToken: refresh, userData: login.data, client: "presence-channels", away: AWAY });
  const mine = goEasy;
  follow(goEasy.client);
  goEasy.client.on("state", ({ state, code, message }) => mine === goEasy && state === "closed" && stop({ code, text: message }));
  rooms = new Rooms(goEasy, login.name, changed);
  const last = stored("channels.open");
  channel = rooms.all.has(last) ? last : "room-lobby";
  hereNow.start({ goEasy, token: () => login?.token, channels });
  draw();
}

/** The connection is over: by the person's wish, or by the server's, which says why. */
function stop(why) {
  const old = goEasy;
  rooms?.forget();
  goEasy = rooms = undefined;
  ended = why;
  $("name").value = login?.name ?? "";
  $("data").value = login?.data ?? "";
  forget();
  old?.disconnect();
  clearRoom();
  draw();
}

// ---- Drawing --------------------------------------------------------------------------------------------------------

/** A room is other than it was: drawn once, however much of it changed in this moment. */
function changed(room) {
  if (room.channel === channel) hereNow.askSoon();
  if (isStale) return;
  isStale = true;
  queueMicrotask(draw);
}

function draw() {
  isStale = false;
  showState();
  $("login-view").hidden = login !== undefined;
  $("rooms-view").hidden = $("logout").hidden = login === undefined;
  $("me").textContent = login ? [login.name, login.data].filter(Boolean).join(" · ") : "";
  $("banner").hidden = !ended?.code;
  $("banner").dataset.code = ended?.code ?? "";
  $("banner-title").textContent = known(`code${ended?.code}`) ? t(`code${ended.code}`) : t("codeStop", { code: ended?.code });
  $("banner-text").textContent = ended?.text ?? "";
  if (!rooms) return;
  const room = rooms.all.get(channel);
  if (!document.hidden) room.unread = 0;
  fill($("rooms"), [...rooms.all.values()], (one) => one.channel, rowShows, row);
  drawRoom(room, rooms);
}

const rowShows = ({ channel: name, refusal, isEntered, unread, feed }) => [locale(), name === channel, refusal, isEntered, unread, feed.userAmount];

function row(room) {
  const item = make("li", "room");
  const { refusal, isEntered, unread, feed } = room;
  Object.assign(item.dataset, { channel: room.channel, entered: isEntered, refused: refusal !== undefined, amount: feed.userAmount });
  const pick = button("pick", undefined, () => show(room.channel));
  pick.setAttribute("aria-current", room.channel === channel);
  const words = refusal === undefined ? room.channel : t("refused");
  pick.append(make("strong", "", title(room)), make("small", "", words));
  item.append(pick);
  if (unread && isEntered) item.append(Object.assign(make("span", "pill unread", unread), { title: t("unread", { n: unread }) }));
  if (refusal === undefined) item.append(Object.assign(make("span", "pill here", feed.userAmount), { title: `${feed.userAmount} ${t("here")}` }));
  else item.append(make("span", "pill", "403"));
  if (!room.isListed) {
    const close = button("small", "×", () => closeRoom(room.channel));
    close.setAttribute("aria-label", t("close"));
    item.append(close);
  }
  return item;
}

const title = (room) => (room.isListed ? t(room.channel) : room.channel.replace(/^room-/, ""));

function show(next) {
  channel = next;
  store("channels.open", channel);
  clearRoom();
  draw();
  hereNow.askSoon();
}

function closeRoom(name) {
  rooms.close(name);
  if (name === channel) show("room-lobby");
}

function openRoom(event) {
  event.preventDefault();
  const name = $("new-room").value.trim();
  if (!name) return;
  const next = name.startsWith("room-") ? name : `room-${name}`;
  $("new-room").value = "";
  rooms.open(next);
  show(next);
}

/** What the panel asks for. */
function channels(isAll) {
  if (!isAll) return [channel];
  return [...rooms.all.values()].filter(({ refusal }) => refusal === undefined).map((room) => room.channel);
}

// ---- Wiring ---------------------------------------------------------------------------------------------------------

$("login-view").onsubmit = logIn;
$("logout").onclick = () => stop();
$("open-room").onsubmit = openRoom;
$("toggle").onclick = () => (rooms.all.get(channel).isEntered ? rooms.leave(channel) : rooms.enter(channel));
$("compose").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  rooms.say(channel, text);
  $("text").value = "";
};
document.addEventListener("visibilitychange", () => !document.hidden && draw());

if (login) start();
speak(draw);
