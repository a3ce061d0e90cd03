// Runs the article's own snippets, which are files beside this one, and shows what they print.

import { $, button, make } from "../dom.js";
import { speak, t } from "../texts.js";

const CHANNELS = ["my_channel", "my_channel2"];
const REST = "/herenow?appkey=my_appkey&channel=my_channel&channel=my_channel2&includeUsers=true&distinct=true";
const SNIPPETS = [
  { key: "seed1", file: "1-constructor.js" },
  { key: "seed2", file: "2-subscribe-presence.js", prints: "console" },
  { key: "seed3", file: "3-unsubscribe-presence.js" },
  { key: "seed4", file: "4-here-now.js", prints: "alert" },
];
const PEOPLE = [
  { name: "Jack", data: "18 years old", channel: CHANNELS[0] },
  { name: "Ted", channel: CHANNELS[0] },
  { name: "Tom", data: "18 years old", channel: CHANNELS[1] },
];

// ---- What the snippets need around them ------------------------------------------------------------------------------

async function logInAs(name) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/login", { method: "POST", headers, body: JSON.stringify({ name }) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.content);
  return answer.token;
}

globalThis.logIn = () => logInAs("user-001");

/** The article puts the response into a text, and means JSON by it; so here the response says itself as JSON. */
globalThis.GoEasy = class extends herenow.GoEasy {
  hereNow(request, callback) {
    const text = { value() { return JSON.stringify(this, null, 2); } };
    super.hereNow(request, (response) => callback(Object.defineProperty(response, "toString", text)));
  }
};

const log = console.log;
console.log = (...words) => {
  log(...words);
  print("console", words.join(" "));
};
globalThis.alert = (text) => print("alert", text);

function print(where, text) {
  const list = $(`prints-${where}`);
  if (where !== "console") list.replaceChildren(); // An answer takes the place of the last one.
  list.append(make("li", "", String(text)));
  if (where === "console") list.scrollTop = list.scrollHeight;
}

// ---- The snippets ----------------------------------------------------------------------------------------------------

/** A script of its own, as on a page that has it: no `eval`, `var goEasy` is everybody's, and they run in the order asked. */
function run(file) {
  return new Promise((resolve, reject) => {
    const script = make("script");
    Object.assign(script, { async: false, src: `/seed/${file}`, onload: resolve, onerror: reject });
    document.body.append(script);
  });
}

function card({ key, prints }, source, act) {
  const section = make("section", "card snippet");
  const head = make("div", "row");
  const title = make("h2", "grow");
  title.dataset.i18n = key;
  head.append(title);
  if (act) {
    const go = button("primary", "", act);
    go.id = `run-${key}`;
    go.dataset.i18n = "run";
    head.append(go);
  }
  section.append(head, make("pre", "source", source));
  if (prints) {
    const list = make("ol", "prints");
    list.id = list.dataset.testid = `prints-${prints}`;
    list.dataset.i18nEmpty = "printsNothing";
    list.tabIndex = 0;
    section.append(list);
  }
  return section;
}

async function showSnippets() {
  const sources = await Promise.all(SNIPPETS.map(async ({ file }) => (await fetch(`/seed/${file}`)).text()));
  const cards = SNIPPETS.map((snippet, index) => card(snippet, sources[index], index > 0 && (() => run(snippet.file))));
  $("snippets").replaceChildren(...cards, card({ key: "seed5", prints: "rest" }, `GET ${REST}`, askRest));
}

async function askRest() {
  const response = await fetch(REST, { headers: { Authorization: `Bearer ${await logIn()}` } });
  print("rest", JSON.stringify(await response.json(), null, 2));
}

// ---- The people -------------------------------------------------------------------------------------------------------

/** Somebody with a socket of their own. */
class Person {
  constructor({ name, data, channel }) {
    Object.assign(this, { name, channel });
    this.isIn = this.isLost = false;
    this.goEasy = new herenow.GoEasy({ url: "/ws", getToken: () => logInAs(name), userData: data, away: false });
  }

  acts() {
    if (this.isLost) return { online: () => { this.isLost = false; this.goEasy.client.connect(); } };
    const { channel } = this;
    if (!this.isIn) return { join: () => { this.isIn = true; this.goEasy.subscribe({ channel }); } };
    return {
      offline: () => { this.isLost = true; this.goEasy.disconnect(); },
      leave: () => { this.isIn = false; this.goEasy.unsubscribe({ channel }); },
    };
  }

  do(act) {
    this.acts()[act]();
    drawPeople();
  }

  row() {
    const { name, channel, isIn, isLost } = this;
    const item = make("li", "row");
    item.dataset.person = name;
    const who = make("div", "grow");
    who.append(make("strong", "", name), make("small", "", isLost ? t("lost") : t(isIn ? "in" : "out", { channel })));
    item.append(who);
    for (const act of Object.keys(this.acts())) {
      const node = button("", t(`act-${act}`), () => this.do(act));
      node.dataset.act = act;
      item.append(node);
    }
    return item;
  }
}

let people = [];

function drawPeople() {
  $("people-hint").textContent = t("peopleHint", { a: CHANNELS[0], b: CHANNELS[1] });
  $("people").replaceChildren(...people.map((person) => person.row()));
}

// A reload is silent within the grace period; here something should happen each time, so they leave with the page.
addEventListener("pagehide", () => { for (const { goEasy } of people) goEasy.disconnect(); });
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

await showSnippets();
speak(drawPeople);
await run(SNIPPETS[0].file);
await run(SNIPPETS[1].file);
people = PEOPLE.map((person) => new Person(person));
// Requests of one connection are answered in order: when this one is, the feed is there, and hears all that follows.
goEasy.client.hereNow({ channels: CHANNELS }).then(() => people.forEach((person) => person.do("join")));
