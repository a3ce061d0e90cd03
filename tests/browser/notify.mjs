// Opens both pages of poem-notify in headless Chromium and uses them as people would; see harness.mjs for what it prints.
//
//   node notify.mjs <base URL> <admin password>

import { backOnline, cable, check, main, openPage as open, person, shot, step, until } from "./harness.mjs";

const [base, adminPassword] = process.argv.slice(2);

const openPage = (context, path = "/", url = base) => open(context, url + path);
/** The id of every notification that was pushed to a tab. */
const pushed = (page) => page.heard.filter(({ type, kind }) => type === "push" && kind === "notification").map(({ mid }) => mid);

async function logIn(context, name, device, url) {
  const page = await openPage(context, "/", url);
  await page.fill("#name", name);
  await page.fill("#device", device);
  await page.click("#login");
  await connected(page);
  return page;
}

const connected = (page) => page.waitForSelector('#state[data-state="online"]', { state: "attached" });
const personRow = (page, name, status) => page.waitForSelector(`#people [data-user="${name}"][data-status="${status}"]`);
const badge = (page, count) => page.waitForSelector(`#badge:not([hidden]):text-is("${count}")`);
const noBadge = (page) => page.waitForSelector("#badge[hidden]", { state: "attached" });
const note = (page, title) => page.waitForSelector(`#notes .note:has(strong:text-is("${title}"))`);
const count = (page, selector) => page.locator(selector).count();
const notes = (page, title) => count(page, `#notes .note:has(strong:text-is("${title}"))`);

/** Sends what stands in the form, and gives the id and the log's words. */
async function send(admin, title, text = "") {
  await admin.fill("#title", title);
  await admin.fill("#text", text);
  await admin.click("#send");
  const entry = await admin.waitForSelector(`#sent li:has(strong:text-is("${title}"))`);
  return { id: await entry.getAttribute("data-id"), says: await entry.innerText() };
}

function checkSays({ says }, ...words) {
  for (const word of words) check(says.includes(word), `the report says ${JSON.stringify(says)}, not ${word}`);
}

/** What a browser does to a hidden tab, which headless Chromium has no window to do. */
function setVisibility(page, visibility) {
  return page.evaluate((value) => {
    Object.defineProperty(document, "visibilityState", { value, configurable: true });
    Object.defineProperty(document, "hidden", { value: value === "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, visibility);
}

async function run() {
  const [aliceBrowser, phoneBrowser, bobBrowser, adminBrowser] = [await person(), await person(), await person(), await person()];
  let alice, bob, phone, admin;

  await step("a wrong admin password is refused in words", async () => {
    admin = await openPage(adminBrowser, "/admin");
    await admin.fill("#password", `not ${adminPassword}`);
    await admin.click("#login");
    await admin.waitForFunction(() => document.querySelector("#login-error").textContent.length > 0);
    await shot(admin, "admin-login");
    await admin.fill("#password", adminPassword);
    await admin.click("#login");
    await connected(admin);
  });
  await step("two people log in, see each other, and the admin sees their devices", async () => {
    alice = await openPage(aliceBrowser);
    await shot(alice, "login");
    await alice.close();
    alice = await logIn(aliceBrowser, "alice", "laptop");
    bob = await logIn(bobBrowser, "bob", "desk");
    await personRow(alice, "bob", "online");
    await personRow(bob, "alice", "online");
    await admin.waitForSelector('#people [data-user="alice"] [data-device="laptop"]');
    await admin.waitForSelector('#people [data-user="bob"] [data-device="desk"]');
  });
  await step("a notification for one raises her badge and nobody else's", async () => {
    await admin.check('#people [data-user="alice"] input');
    const sent = await send(admin, "Parcel <b id=evil>arrived</b>", "It is at the <i>front desk</i>.\nBring your card.");
    checkSays(sent, "alice", "reached 1");
    await badge(alice, 1);
    await note(alice, "Parcel <b id=evil>arrived</b>");
    check((await count(alice, "#evil")) === 0, "the title became an element");
    check((await alice.title()).startsWith("(1)"), "the tab's title does not count");
    check((await bob.isHidden("#badge")) && pushed(bob).length === 0, "bob was told as well");
  });
  await step("read is read in her other tab too", async () => {
    const tab = await openPage(aliceBrowser);
    await badge(tab, 1);
    await tab.click("#notes .note button");
    await noBadge(tab);
    await noBadge(alice);
    await tab.close();
  });
  await step("a notification for several reaches both", async () => {
    await admin.check('#people [data-user="bob"] input');
    checkSays(await send(admin, "Stand-up at ten"), "alice and bob", "reached 2");
    await badge(alice, 1);
    await badge(bob, 1);
  });
  await step("an announcement is a banner for all, and goes when it was read", async () => {
    await admin.check('[data-testid="to-everyone"]');
    checkSays(await send(admin, "Maintenance tonight", "From ten to eleven."), "Everybody", "reached 2");
    for (const page of [alice, bob]) await page.waitForSelector('#announcement:not([hidden]):has-text("Maintenance tonight"):has-text("From ten")');
    check((await admin.locator("#sent li").count()) === 3, "the admin's log is not whole");
    await badge(bob, 2);
    await shot(bob, "announcement");
    await bob.click("#announcement-read");
    await bob.waitForSelector("#announcement[hidden]", { state: "attached" });
    await badge(bob, 1);
    check(await alice.isVisible("#announcement"), "alice's banner went with bob's");
  });
  await step("all is read with one click", async () => {
    await alice.click("#read-all");
    await noBadge(alice);
    await bob.click("#read-all");
    await noBadge(bob);
  });
  await step("by device: the phone gets it and the laptop does not", async () => {
    phone = await logIn(phoneBrowser, "alice", "phone");
    await admin.click('#people [data-user="alice"] [data-device="phone"]');
    const sent = await send(admin, "Update the app");
    checkSays(sent, "alice · phone", "reached 1");
    await badge(phone, 1);
    await note(phone, "Update the app");
    check(!pushed(alice).includes(sent.id) && (await notes(alice, "Update the app")) === 0, "the laptop got it too");
    await alice.reload();
    await note(alice, "Stand-up at ten");
    check((await notes(alice, "Update the app")) === 0, "the laptop lists it");
    await phone.click("#logout");
    await phone.close();
  });
  await step("away, by hand and by a hidden tab, is shown to the others", async () => {
    await alice.selectOption("#status", "away");
    await personRow(bob, "alice", "away");
    await personRow(admin, "alice", "away");
    await shot(bob, "away");
    await alice.selectOption("#status", "online");
    await personRow(bob, "alice", "online");
    await setVisibility(alice, "hidden");
    await personRow(bob, "alice", "away");
    await setVisibility(alice, "visible");
    await personRow(bob, "alice", "online");
  });
  await step("a word of one's own is shown, and survives a reload", async () => {
    await alice.selectOption("#status", "…");
    await alice.fill("#word-text", "in a <meeting>");
    await alice.click("#word-set");
    await bob.waitForSelector('#people [data-user="alice"] small:text-is("in a <meeting>")');
    await alice.reload();
    await connected(alice);
    await alice.waitForFunction(() => document.querySelector("#status").value === "in a <meeting>");
    await bob.waitForSelector('#people [data-user="alice"] small:text-is("in a <meeting>")');
    await alice.selectOption("#status", "online");
    await personRow(bob, "alice", "online");
  });
  await step("who leaves is offline, with the time it was last seen", async () => {
    await alice.click("#logout");
    await bob.waitForSelector('#people [data-user="alice"][data-status="offline"] small:has-text("seen now")');
    await admin.waitForSelector('#people [data-user="alice"][data-status="offline"] small:has-text("seen now")');
    await alice.close();
  });
  await step("who is offline gets hers on return, in order, once", async () => {
    await admin.uncheck('#people [data-user="bob"] input');
    await admin.check('[data-testid="to-users"]');
    const first = await send(admin, "While you were out");
    checkSays(first, "reached nobody", "later: alice");
    const second = await send(admin, "And another one");
    await admin.check('[data-testid="to-everyone"]');
    const third = await send(admin, "For those who were out as well");
    checkSays(third, "reached 1", "later: alice");
    await shot(admin, "admin");
    alice = await logIn(aliceBrowser, "alice", "laptop");
    await badge(alice, 3);
    await alice.waitForSelector('#announcement:not([hidden]):has-text("For those who were out")');
    await until("what she missed was not pushed", () => pushed(alice).length >= 2);
    check(JSON.stringify(pushed(alice)) === JSON.stringify([first.id, second.id]), `pushed ${pushed(alice)}`);
    check((await notes(alice, "While you were out")) === 1, "it stands there twice");
    await shot(alice, "returned");
    await alice.reload();
    await badge(alice, 3);
    await admin.check('[data-testid="to-users"]');
    const fourth = await send(admin, "Welcome back");
    await badge(alice, 4);
    checkSays(fourth, "alice", "reached 1");
    check(JSON.stringify(pushed(alice).slice(2)) === JSON.stringify([fourth.id]), "it came again after the reload");
  });
  await step("for a device that is offline it waits for that device", async () => {
    await admin.check('[data-testid="to-device"]');
    await admin.fill("#device-user", "alice");
    await admin.fill("#device-name", "phone");
    const sent = await send(admin, "Only the phone");
    checkSays(sent, "reached nobody", "later: alice");
    phone = await logIn(phoneBrowser, "alice", "phone");
    await note(phone, "Only the phone");
    await until("the phone was not sent it", () => pushed(phone).includes(sent.id));
    check(!pushed(alice).includes(sent.id), "it went to the laptop too");
    await phone.click("#logout");
    await phone.close();
  });
  await step("who loses the network gets what came meanwhile, in order, once", async () => {
    const network = await cable(base);
    const carol = await logIn(bobBrowser, "carol", "train", network.url);
    await personRow(admin, "carol", "online");
    await admin.uncheck('#people [data-user="alice"] input');
    await admin.check('#people [data-user="carol"] input');
    const before = await send(admin, "Before the tunnel");
    await badge(carol, 1);
    network.cut();
    await carol.waitForSelector('#state[data-state="waiting"]');
    await shot(carol, "tunnel");
    const inside = [await send(admin, "In the tunnel"), await send(admin, "Still in the tunnel")];
    checkSays(inside[1], "carol", "reached nobody");
    await backOnline(carol, network);
    await connected(carol);
    await badge(carol, 3);
    const after = await send(admin, "After the tunnel");
    checkSays(after, "carol", "reached 1");
    await badge(carol, 4);
    const expected = [before, ...inside, after].map(({ id }) => id);
    check(JSON.stringify(pushed(carol)) === JSON.stringify(expected), `pushed ${pushed(carol)}, not ${expected}`);
    const welcomes = carol.heard.filter(({ type }) => type === "welcome").map(({ resumed }) => resumed);
    check(welcomes.length === 2 && welcomes[1] === true, `the connection was not resumed: ${welcomes}`);
    check((await notes(carol, "In the tunnel")) === 1, "it stands there twice");
    await carol.click("#logout");
    await personRow(admin, "carol", "offline");
    await carol.close();
  });
  await step("the pages speak Chinese too", async () => {
    await alice.click("#lang");
    await alice.waitForSelector('#panel-title:text("通知")');
    await shot(alice, "chinese");
    await alice.click("#lang");
    await admin.click("#lang");
    await admin.waitForSelector('#send:text("发送")');
    await admin.click("#lang");
  });
  await step("the admin kicks bob, who is told why and stays away", async () => {
    await admin.click('[data-kick="bob"]');
    await admin.fill("#kick-reason", "house rules");
    await admin.click("#kick-confirm");
    await bob.waitForSelector('#ended[data-code="4423"]:has-text("kicked out"):has-text("house rules")');
    await personRow(alice, "bob", "offline");
    await personRow(admin, "bob", "offline");
    await shot(bob, "kicked");
    await bob.evaluate(() => dispatchEvent(new Event("online")));
    check((await bob.getAttribute("#state", "data-state")) === "stopped", "the page tries to reconnect");
    await bob.reload();
    check(await bob.isVisible("#login"), "the page still has its login");
    await bob.fill("#name", "bob");
    await bob.click("#login");
    await connected(bob);
    await personRow(alice, "bob", "online");
  });
  await step("offline, said by hand, logs out everywhere", async () => {
    const tab = await openPage(bobBrowser);
    await connected(tab);
    await bob.selectOption("#status", "offline");
    for (const page of [bob, tab]) await page.waitForSelector('#ended[data-code="4424"]');
    await personRow(alice, "bob", "offline");
  });
  await step("the pages fit a phone of 360 pixels, dark as well", async () => {
    for (const [page, name] of [[alice, "user"], [admin, "admin"]]) {
      await page.emulateMedia({ colorScheme: "dark" });
      await shot(page, `${name}-dark`);
      await page.setViewportSize({ width: 360, height: 740 });
      check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: it scrolls sideways`);
      await shot(page, `${name}-phone-dark`);
      await page.emulateMedia({ colorScheme: "light" });
      await shot(page, `${name}-phone`);
    }
    check(await alice.isVisible("#panel"), "what was open is not");
    await alice.keyboard.press("Escape");
    await alice.click("#close-panel", { timeout: 1_000 }).catch(() => {});
    await alice.waitForSelector("#panel", { state: "hidden" });
    await alice.waitForSelector('#people [data-user="bob"]');
    await shot(alice, "user-phone-people");
    await alice.click("#bell");
    await alice.waitForSelector("#panel", { state: "visible" });
  });
}

await main(run);
