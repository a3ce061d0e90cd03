// Opens the pages of axum-presence-channels in headless Chromium and uses them as people would; see harness.mjs for what it prints.
//
//   node channels.mjs <base URL> <staff password>

import { check, main, openPage, person, shot, step, until } from "./harness.mjs";

const [base, staffPassword] = process.argv.slice(2);
const LOBBY = "room-lobby";

async function logIn(context, name, { data = "", password } = {}) {
  const page = await openPage(context, base);
  await fillLogin(page, name, data);
  if (password) {
    await page.waitForSelector("#password-row:not([hidden])");
    await page.fill("#password", password);
    await page.click("#login");
  }
  await connected(page);
  return page;
}

async function fillLogin(page, name, data = "") {
  await page.fill("#name", name);
  await page.fill("#data", data);
  await page.click("#login");
}

const connected = (page) => page.waitForSelector('#state[data-state="open"]', { state: "attached" });
const open = (page, channel) => page.click(`#rooms [data-channel="${channel}"] .pick`);
const member = (page, name, status = "online") => page.waitForSelector(`#members [data-user="${name}"][data-status="${status}"]`);
const amount = (page, channel, users) => page.waitForSelector(`#rooms [data-channel="${channel}"][data-amount="${users}"]`);
const line = (page, text) => page.waitForSelector(`#log .line:has-text("${text}")`);
const tag = (name, action) => `#events .tag[data-user="${name}"][data-action="${action}"]`;
const count = (page, selector) => page.locator(selector).count();

async function enter(page, channel) {
  await open(page, channel);
  await page.click("#toggle");
  await page.waitForSelector(`#rooms [data-channel="${channel}"][data-entered="true"]`);
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.click("#send");
  await line(page, text);
}

/** Waits for so many events of a user in the open room. */
function heard(page, name, action, times = 1) {
  return until(`${name} ${action} was not seen ${times} times`, async () => (await count(page, tag(name, action))) === times);
}

async function countOfEvents(page, name) {
  return count(page, `#events .tag[data-user="${name}"]`);
}

/** What both sides of the panel say, once they agree and `isIt` holds for the room. */
async function hereNow(page, isIt, channel = LOBBY) {
  let answer;
  await until("the panel does not say it, or its sides differ", async () => {
    const state = await page.getAttribute("#verdict", "data-state");
    if (state === "equal") {
      const [bySocket, byRest] = await Promise.all(["#by-socket", "#by-rest"].map((one) => page.textContent(one)));
      answer = JSON.parse(bySocket);
      if (bySocket === byRest && answer.content.channels?.[channel] && isIt(answer.content.channels[channel])) return true;
    }
    if (state) await page.click("#ask"); // One question at a time: while it is under way, there is no verdict.
    return false;
  });
  return answer;
}

function same(seen, expected, what) {
  check(JSON.stringify(seen) === JSON.stringify(expected), `${what}: ${JSON.stringify(seen)}`);
}

/** What a browser does to a hidden tab, which headless Chromium has no window to do. */
function setVisibility(page, visibility) {
  return page.evaluate((value) => {
    Object.defineProperty(document, "visibilityState", { value, configurable: true });
    Object.defineProperty(document, "hidden", { value: value === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, visibility);
}

/** A network that can be pulled: sockets end without a word, and new ones do not open. */
async function pluggable(context) {
  const sockets = new Set();
  let isPulled = false;
  const end = (socket) => socket.close({ code: 4100 });
  await context.routeWebSocket(/\/ws$/, (socket) => {
    if (isPulled) return end(socket);
    socket.connectToServer();
    sockets.add(socket);
  });
  return {
    pull() { isPulled = true; sockets.forEach(end); sockets.clear(); },
    plug() { isPulled = false; },
  };
}

async function run() {
  const [aliceBrowser, bobBrowser, adaBrowser] = [await person(), await person(), await person()];
  let alice, bob, ada;

  await step("a staff name without the password is refused in words", async () => {
    const page = await openPage(adaBrowser, base);
    await shot(page, "channels-login");
    await fillLogin(page, "ada");
    await page.waitForSelector('#login-error:has-text("staff password")');
    await fillLogin(page, "a\u200bda");
    await page.waitForSelector('#login-error:has-text("letters, digits")');
    await page.close();
  });
  await step("two people enter a room and see each other with what they said about themselves", async () => {
    alice = await logIn(aliceBrowser, "alice", { data: "18 years old" });
    bob = await logIn(bobBrowser, "bob", { data: "plays the bassoon" });
    await enter(alice, LOBBY);
    await member(bob, "alice");
    await enter(bob, LOBBY);
    await member(alice, "bob");
    await alice.waitForSelector('#members [data-user="bob"]:has-text("plays the bassoon")');
    for (const page of [alice, bob]) await amount(page, LOBBY, 2);
  });
  await step("who was there hears the join, as the seed prints it", async () => {
    await heard(alice, "bob", "join");
    const printed = await alice.textContent(`#events .heard:has(${tag("bob", "join").slice(8)}) code`);
    const [event] = JSON.parse(printed.slice(printed.indexOf("[")));
    check(typeof event.timestamp === "number", printed);
    same({ ...event, timestamp: 0 }, { action: "join", channel: LOBBY, userId: "bob", userData: "plays the bassoon", timestamp: 0 }, "the event");
  });
  await step("what is said in a room is heard there, and markup stays text", async () => {
    await say(alice, "hello everybody");
    await line(bob, "hello everybody");
    await say(alice, "<b id=evil>bold</b>");
    await line(bob, "<b id=evil>bold</b>");
    check((await count(bob, "#evil")) === 0, "the message became an element");
  });
  await step("hereNow says the same over the socket and over REST", async () => {
    const answer = await hereNow(alice, ({ clientAmount }) => clientAmount === 2);
    const users = [{ id: "alice", data: "18 years old" }, { id: "bob", data: "plays the bassoon" }];
    same(answer, { code: 200, content: { channels: { [LOBBY]: { channel: LOBBY, clientAmount: 2, userAmount: 2, users } } } }, "the answer");
    await shot(alice, "channels-desktop");
  });
  await step("a second tab is a client and no event, and distinct tells the two apart", async () => {
    const before = await countOfEvents(bob, "alice");
    const tab = await openPage(aliceBrowser, base);
    await connected(tab);
    await enter(tab, LOBBY);
    const ids = ({ users }) => users?.map(({ id }) => id).join();
    await hereNow(bob, (room) => room.clientAmount === 3 && room.userAmount === 2 && ids(room) === "alice,bob");
    await bob.uncheck("#distinct");
    await hereNow(bob, (room) => ids(room) === "alice,alice,bob");
    await bob.uncheck("#include-users");
    await hereNow(bob, (room) => room.users === undefined && room.clientAmount === 3);
    await tab.close();
    await hereNow(bob, (room) => room.clientAmount === 2 && room.userAmount === 2);
    await bob.check("#distinct");
    await bob.check("#include-users");
    check((await countOfEvents(bob, "alice")) === before, "a tab made an event");
  });
  await step("a hidden tab is away, which is a status and no event", async () => {
    const before = await countOfEvents(alice, "bob");
    await setVisibility(bob, "hidden");
    await member(alice, "bob", "away");
    await shot(alice, "channels-away");
    await setVisibility(bob, "visible");
    await member(alice, "bob");
    check((await countOfEvents(alice, "bob")) === before, "a status made an event");
  });
  await step("a reload is silent, and the page is in its rooms again", async () => {
    const before = await countOfEvents(alice, "bob");
    await bob.reload();
    await connected(bob);
    await member(bob, "bob");
    await say(bob, "back from the reload");
    await line(alice, "back from the reload");
    await hereNow(alice, ({ clientAmount }) => clientAmount === 2);
    check((await countOfEvents(alice, "bob")) === before, "the reload made an event");
  });
  await step("one is in several rooms at once, and the amounts follow", async () => {
    await enter(bob, "room-music");
    await amount(alice, "room-music", 1);
    await amount(alice, LOBBY, 2);
    await say(bob, "only here");
    await say(alice, "in the lobby");
    await bob.waitForSelector('#rooms [data-channel="room-lobby"] .unread');
    await open(bob, LOBBY);
    await line(bob, "in the lobby");
    check((await count(bob, '#log .line:has-text("only here")')) === 0, "a message of one room stands in another");
  });
  await step("a room that is left is left: leave, and join when one comes again", async () => {
    await open(alice, "room-music");
    await open(bob, "room-music");
    await bob.click("#toggle");
    await heard(alice, "bob", "leave");
    await amount(alice, "room-music", 0);
    await bob.click("#toggle");
    await heard(alice, "bob", "join", 2);
    await open(alice, LOBBY);
    await open(bob, LOBBY);
  });
  await step("a closed tab is offline once the grace period is over, and online when it is back", async () => {
    await bob.close();
    await heard(alice, "bob", "offline");
    await amount(alice, LOBBY, 1);
    bob = await openPage(bobBrowser, base);
    await connected(bob);
    await enter(bob, LOBBY);
    await heard(alice, "bob", "online");
    await member(alice, "bob");
    await shot(alice, "channels-events");
  });
  await step("rooms of one's own can be opened, and are on the list after a reload", async () => {
    await alice.fill("#new-room", "köln");
    await alice.click("#open");
    await alice.click("#toggle");
    await amount(alice, "room-köln", 1);
    await alice.reload();
    await amount(alice, "room-köln", 1);
    await alice.click('#rooms [data-channel="room-köln"] .small');
    await alice.waitForSelector('#rooms [data-channel="room-köln"]', { state: "detached" });
    await open(alice, LOBBY);
  });
  await step("a room that the policy does not open is shown as refused", async () => {
    await open(bob, "staff-room");
    await bob.waitForSelector('#rooms [data-channel="staff-room"][data-refused="true"]');
    await bob.waitForSelector("#refusal:not([hidden])");
    check(await bob.isDisabled("#toggle"), "the page offers to enter");
    await until("REST lets bob look", async () => (await bob.textContent("#by-rest")).includes('"code": 403'));
    check((await bob.getAttribute("#verdict", "data-state")) !== "", "nothing was compared");
    await shot(bob, "channels-refused");
    await open(bob, LOBBY);
  });
  await step("the staff enters it", async () => {
    ada = await logIn(adaBrowser, "ada", { password: staffPassword });
    await enter(ada, "staff-room");
    await member(ada, "ada");
    await hereNow(ada, ({ clientAmount }) => clientAmount === 1, "staff-room");
    await open(ada, LOBBY);
  });
  await step("a lost network is told, and nobody else notices one that is back in time", async () => {
    const network = await pluggable(aliceBrowser);
    await alice.reload();
    await connected(alice);
    await member(bob, "alice");
    const before = await countOfEvents(bob, "alice");
    network.pull();
    await alice.waitForSelector('#state[data-state="waiting"]');
    await alice.waitForSelector("#retry:not([hidden])");
    network.plug();
    await alice.click("#retry");
    await connected(alice);
    await say(alice, "the network is back");
    await line(bob, "the network is back");
    check((await countOfEvents(bob, "alice")) === before, "the network made an event");
  });
  await step("the staff kicks bob, who is told why and stays away", async () => {
    await member(ada, "bob");
    await shot(ada, "channels-staff");
    await ada.click('#members [data-user="bob"] .danger');
    await bob.waitForSelector('#banner[data-code="4423"]:has-text("showed you the door")');
    check((await bob.getAttribute("#state", "data-state")) === "closed", "the page tries to come back");
    await heard(ada, "bob", "offline");
    await amount(alice, LOBBY, 1);
    await shot(bob, "channels-kicked");
    await bob.reload();
    check(await bob.isVisible("#login"), "the page still has its login");
  });
  await step("a log-out is seen at once", async () => {
    await fillLogin(bob, "bob");
    await connected(bob);
    await enter(bob, LOBBY);
    await amount(alice, LOBBY, 2);
    await bob.click("#logout");
    await amount(alice, LOBBY, 1);
    check(await bob.isHidden("#banner"), "a log-out is no reason for a banner");
  });
  await step("the page speaks Chinese too", async () => {
    await alice.click("#lang");
    await alice.waitForSelector('#send:text("发送")');
    await alice.waitForSelector('#verdict[data-state="equal"], #verdict[data-state=""]');
    await alice.click("#lang");
  });
  await step("the page fits a phone, and the dark", async () => {
    await alice.emulateMedia({ colorScheme: "dark" });
    await shot(alice, "channels-dark");
    await alice.setViewportSize({ width: 360, height: 760 });
    check(await alice.isVisible("#send"), "no way to send");
    check(await alice.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
    await shot(alice, "channels-phone");
  });
  await seed(await person());
}

/** The article's own snippets. */
async function seed(context) {
  const prints = (where) => `#prints-${where} li`;
  let page;

  /** What hereNow says after all that the snippets asked for before: answers come in order. */
  async function answer() {
    await page.evaluate(() => document.querySelector("#prints-alert").replaceChildren());
    await page.click("#run-seed4");
    return page.textContent(prints("alert"));
  }

  await step("the seed's snippets print who comes and who goes", async () => {
    page = await openPage(context, `${base}/seed`);
    const events = async () => (await page.locator(prints("console")).allTextContents()).flatMap((text) => JSON.parse(text.replace("Presence events:  ", "")));
    const saw = (name, action) => until(`${name} ${action} is not printed`, async () => (await events()).some((one) => one.userId === name && one.action === action));
    await saw("Jack", "join");
    await saw("Ted", "join");
    for (const act of ["offline", "online", "leave"]) {
      await page.click(`#people [data-person="Ted"] [data-act="${act}"]`);
      await saw("Ted", act);
    }
    await page.click('#people [data-person="Ted"] [data-act="join"]');
    await until("Ted is not back", async () => (await events()).filter((one) => one.userId === "Ted" && one.action === "join").length === 2);
    check(!(await events()).some((one) => one.channel !== "my_channel"), "an event of another channel");
  });
  await step("hereNow answers in the seed's shape, over the socket and over REST", async () => {
    const channel = (name, users) => ({ channel: name, clientAmount: users.length, userAmount: users.length, users });
    const [jack, ted, tom] = [{ id: "Jack", data: "18 years old" }, { id: "Ted", data: "" }, { id: "Tom", data: "18 years old" }];
    const expected = { code: 200, content: { channels: { my_channel: channel("my_channel", [jack, ted]), my_channel2: channel("my_channel2", [tom]) } } };
    let alerted;
    await until("Tom is not there", async () => (alerted = await answer()).includes("Tom"));
    check(alerted.startsWith("hereNow response: {"), alerted);
    same(JSON.parse(alerted.replace("hereNow response: ", "")), expected, "over the socket");
    await page.click("#run-seed5");
    await page.waitForSelector(prints("rest"));
    same(JSON.parse(await page.textContent(prints("rest"))), expected, "over REST");
    await shot(page, "channels-seed");
  });
  await step("after unsubscribePresence nothing more is printed", async () => {
    await page.click("#run-seed3");
    await answer();
    await page.click('#people [data-person="Jack"] [data-act="leave"]');
    await until("Jack is still there", async () => !(await answer()).includes("Jack"));
    // Events come in order: when one of later is printed, one of Jack's would be there.
    await page.click("#run-seed2");
    await answer();
    await page.click('#people [data-person="Ted"] [data-act="offline"]');
    await until("nothing is printed any more", async () => (await page.locator(prints("console")).last().textContent()).includes("offline"));
    const leaves = (await page.locator(prints("console")).allTextContents()).filter((text) => text.includes("leave"));
    check(leaves.length === 1 && leaves[0].includes("Ted"), `printed: ${leaves}`);
    await page.setViewportSize({ width: 360, height: 760 });
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
    await shot(page, "channels-seed-phone");
  });
}

await main(run);
