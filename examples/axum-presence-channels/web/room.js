// The open room: who is in it, what is said, what `onPresence` heard.

import { $, button, fill, make, toast } from "./dom.js";
import { api, explain, login } from "./session.js";
import { known, locale, t } from "./texts.js";

export function drawRoom(room, rooms) {
  const { channel, feed, refusal, isEntered, lines, events } = room;
  $("room-title").textContent = room.isListed && known(channel) ? t(channel) : channel.replace(/^room-/, "");
  $("room-channel").textContent = channel;
  $("toggle").textContent = t(isEntered ? "leave" : "enter");
  $("toggle").className = isEntered ? "" : "primary";
  $("toggle").disabled = refusal !== undefined;
  $("refusal").hidden = refusal === undefined;
  $("refusal").textContent = t("refusedLong", { why: refusal });
  $("text").disabled = $("send").disabled = !isEntered;
  $("log").dataset.empty = t(isEntered ? "empty" : "notEntered");
  $("amount").textContent = feed.userAmount;

  const members = feed.list().sort((a, b) => a.id.localeCompare(b.id));
  fill($("members"), members, ({ id }) => id, (one) => [locale(), one], member);
  $("members").dataset.empty = t(feed.more ? "tooMany" : "nobodyHere");
  append($("log"), lines, line);
  append($("events"), events, heard);
}

/** Before another room is drawn: what is said here is none of it. */
export function clearRoom() {
  for (const id of ["log", "events"]) $(id).replaceChildren();
}

/** Adds what is new, and stays at the end where the person is there. */
function append(list, all, draw) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const shown = new Set([...list.children].map((node) => node.shows));
  for (const node of [...list.children]) if (!all.includes(node.shows)) node.remove();
  for (const one of all) if (!shown.has(one)) list.append(Object.assign(draw(one), { shows: one }));
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function member({ id, data, status }) {
  const item = make("li", "member");
  Object.assign(item.dataset, { user: id, status });
  const words = [status === "online" ? "" : known(status) ? t(status) : status, inWords(data)].filter(Boolean).join(" · ");
  const name = make("strong", "", id === login.name ? `${id} (${t("you")})` : id);
  name.dir = "auto";
  item.append(avatar(id), name, make("small", "", words));
  if (login.staff && id !== login.name) item.append(button("small danger", t("kick"), () => kick(id)));
  return item;
}

function avatar(name) {
  const hue = [...name].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 360, 7);
  const node = make("span", "avatar", [...name][0].toUpperCase());
  node.style.setProperty("--hue", hue);
  node.setAttribute("aria-hidden", "true");
  return node;
}

const inWords = (data) => (typeof data === "string" ? data : JSON.stringify(data));

async function kick(loginId) {
  try {
    await api("presence/kick", { body: { loginId, reason: t("kickReason") } });
  } catch (error) {
    toast(t("failed", { why: explain(error) }));
  }
}

function line({ from, text, at, failed }) {
  const item = make("li", "line");
  item.dataset.from = from;
  item.classList.toggle("mine", from === login.name);
  item.classList.toggle("failed", failed === true);
  const words = make("span", "", text);
  words.dir = "auto";
  item.append(make("small", "", `${from} · ${clock(at)}`), words);
  return item;
}

/** One call of `onPresence`: in short, and the way seed 4 prints it. */
function heard(presenceEvents) {
  const item = make("li", "heard");
  const row = make("div", "row");
  for (const { action, userId, timestamp } of presenceEvents) {
    const tag = make("span", "tag", `${action} `);
    Object.assign(tag.dataset, { action, user: userId });
    tag.append(make("b", "", userId));
    tag.title = clock(timestamp);
    row.append(tag);
  }
  item.append(row, make("code", "", `Presence events:  ${JSON.stringify(presenceEvents)}`));
  return item;
}

function clock(at) {
  return new Date(at).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
