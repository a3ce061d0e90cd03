// The words of both pages, in English and Chinese.

import { $, store, stored } from "./dom.js";

const TEXTS = {
  en: {
    other: "中文", loginTitle: "Who are you?", loginHint: "Any name will do. What you say about yourself is public: everybody in your rooms sees it.",
    name: "Name", data: "About you", dataHint: "18 years old", password: "Staff password", login: "Come in", logout: "Log out", retryNow: "Try now", you: "you",
    rooms: "Rooms", "room-lobby": "Lobby", "room-music": "Music", "room-games": "Games", "staff-room": "Staff room", openRoom: "Open another room", newRoom: "room-…", open: "Open",
    enter: "Enter", leave: "Leave", close: "Close", refused: "you may not enter", refusedLong: "The server refuses this room: {why}", unread: "{n} unread",
    here: "here now", nobodyHere: "nobody is here", tooMany: "too many to list", away: "away", members: "Members", kick: "Kick out", kickReason: "A member of staff showed you the door.",
    empty: "Nothing said yet", notEntered: "Enter the room to read and to speak.", text: "Message", send: "Send", notSent: "not sent: {why}",
    events: "Presence events", eventsHint: "What onPresence hears, as in the seed; away is a status and no event.", noEvents: "Nobody came or went yet",
    hereNowTitle: "hereNow, asked twice", bySocket: "over the socket", byRest: "over REST", thisRoom: "this room", allRooms: "all rooms I may see", ask: "Ask again",
    equal: "Equal: both say the same {n} bytes.", unequal: "Not equal.", asking: "Asking …", unreachable: "The server cannot be reached.", seedLink: "The seed's own snippets",
    stateIdle: "Not connected", stateConnecting: "Connecting …", stateOpen: "Connected", stateWaiting: "Connection lost, trying again in {s} s", stateDrain: "The server restarts, back in {s} s", stateClosed: "Disconnected",
    error429: "Too many attempts. Please wait a little.", errorNetwork: "The server cannot be reached.", failed: "That failed: {why}",
    code4401: "Your login is no longer valid. Please log in again.", code4403: "You are not allowed to connect here.", code4409: "You logged in somewhere else, and this connection gave way.",
    code4423: "You were kicked out.", code4424: "You were logged out.", code4425: "You were banned.", codeStop: "The connection was ended ({code}).",
    seedTitle: "Seed 4, as it was written", seedHint: "The snippets of the article run as they stand; only what the constructor is given changed. Beside each is what it prints.", back: "Rooms",
    run: "Run", printsNothing: "Nothing yet", seed1: "1 · The client", seed2: "2 · Who comes and goes", seed3: "3 · No more of it", seed4: "4 · Who is here, over the socket", seed5: "5 · Who is here, over REST",
    peopleTitle: "Somebody to watch", peopleHint: "Three people with a socket each, so that something happens in {a} and {b}.", "act-join": "join", "act-leave": "leave", "act-offline": "offline", "act-online": "online", in: "in {channel}", out: "not in {channel}", lost: "disconnected",
  },
  zh: {
    other: "English", loginTitle: "您是哪位？", loginHint: "名字随意。您填写的介绍是公开的：同一房间的人都能看到。",
    name: "名字", data: "个人介绍", dataHint: "18 岁", password: "员工密码", login: "进入", logout: "退出登录", retryNow: "立即重试", you: "我",
    rooms: "房间", "room-lobby": "大厅", "room-music": "音乐", "room-games": "游戏", "staff-room": "员工室", openRoom: "打开其他房间", newRoom: "room-…", open: "打开",
    enter: "进入", leave: "离开", close: "关闭", refused: "您无权进入", refusedLong: "服务器拒绝了此房间：{why}", unread: "{n} 条未读",
    here: "人在此", nobodyHere: "这里还没有人", tooMany: "人数太多，不列出", away: "暂离", members: "成员", kick: "踢下线", kickReason: "管理员请您离开了。",
    empty: "还没有消息", notEntered: "进入房间后才能阅读和发言。", text: "消息", send: "发送", notSent: "未发送：{why}",
    events: "上下线事件", eventsHint: "onPresence 收到的内容，与原文一致；暂离是状态，不是事件。", noEvents: "还没有人进出",
    hereNowTitle: "hereNow，两种问法", bySocket: "通过 WebSocket", byRest: "通过 REST", thisRoom: "当前房间", allRooms: "我能看到的所有房间", ask: "再问一次",
    equal: "一致：两者是相同的 {n} 字节。", unequal: "不一致。", asking: "查询中……", unreachable: "无法连接服务器。", seedLink: "原文的代码片段",
    stateIdle: "未连接", stateConnecting: "正在连接……", stateOpen: "已连接", stateWaiting: "连接断开，{s} 秒后重试", stateDrain: "服务器正在重启，{s} 秒后重连", stateClosed: "已断开",
    error429: "尝试次数过多，请稍候。", errorNetwork: "无法连接服务器。", failed: "操作失败：{why}",
    code4401: "登录已失效，请重新登录。", code4403: "您无权连接此处。", code4409: "您已在别处登录，此连接被顶下线。",
    code4423: "您已被踢下线。", code4424: "您已退出登录。", code4425: "您的账号已被冻结。", codeStop: "连接已结束（{code}）。",
    seedTitle: "原文第四篇，原样运行", seedHint: "文章中的代码片段原样运行，只改了构造函数的参数。右边是它们的输出。", back: "房间",
    run: "运行", printsNothing: "还没有输出", seed1: "1 · 客户端", seed2: "2 · 监听上下线", seed3: "3 · 取消监听", seed4: "4 · 通过 WebSocket 获取在线列表", seed5: "5 · 通过 REST 获取在线列表",
    peopleTitle: "可供观察的人", peopleHint: "三个人各有一个连接，让 {a} 和 {b} 里有事发生。", "act-join": "进入", "act-leave": "离开", "act-offline": "下线", "act-online": "上线", in: "在 {channel}", out: "不在 {channel}", lost: "已断开",
  },
};

let lang = stored("herenow.lang", localStorage) ?? (navigator.language.startsWith("zh") ? "zh" : "en");

export const locale = () => (lang === "zh" ? "zh-CN" : "en");
export const known = (key) => Object.hasOwn(TEXTS[lang], key);

export function t(key, values = {}) {
  return (known(key) ? TEXTS[lang][key] : key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Puts the words where the markup asks for them, now and in the other language; then `draw` does the rest. */
export function speak(draw) {
  $("lang").onclick = () => {
    lang = lang === "zh" ? "en" : "zh";
    store("herenow.lang", lang, localStorage);
    translate(draw);
  };
  translate(draw);
}

function translate(draw) {
  document.documentElement.lang = locale();
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-placeholder]")) node.placeholder = t(node.dataset.i18nPlaceholder);
  for (const node of document.querySelectorAll("[data-i18n-empty]")) node.dataset.empty = t(node.dataset.i18nEmpty);
  $("lang").textContent = t("other");
  $("lang").lang = lang === "zh" ? "en" : "zh-CN";
  draw();
}
