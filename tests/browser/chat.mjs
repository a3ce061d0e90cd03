// Opens the chat page in headless Chromium and uses it as people would.
//
//   node chat.mjs <base URL> <admin password>

import { backOnline, cable, check, main, openPage as open, person, shot, step } from "./harness.mjs";

const [base, adminPassword] = process.argv.slice(2);

const openPage = (context, url = base) => open(context, url);

async function logIn(context, name, device, password, url) {
  const page = await openPage(context, url);
  await page.fill("#name", name);
  await page.fill("#device", device);
  if (password) await page.fill("#password", password);
  await page.click("#login");
  await connected(page);
  return page;
}

const connected = (page) => page.waitForSelector('#state[data-state="online"]');
const userRow = (page, name, status) => page.waitForSelector(`#users [data-user="${name}"][data-status="${status}"]`);
const line = (page, text) => page.waitForSelector(`#log .line:has-text("${text}")`);
const everybody = (page) => page.click("#users .everybody .pick");
const openUser = (page, name) => page.click(`#users [data-user="${name}"] > .pick`);
const count = (page, selector) => page.locator(selector).count();

async function say(page, text) {
  await page.fill("#text", text);
  await page.click("#send");
  await line(page, text);
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
  const [aliceBrowser, bobBrowser, adminBrowser] = [await person(), await person(), await person()];
  let alice, bob, bobsTab, admin;

  await step("a wrong admin password is refused in words", async () => {
    const page = await openPage(adminBrowser);
    await shot(page, "login");
    await page.fill("#name", "admin");
    await page.fill("#password", `not ${adminPassword}`);
    await page.click("#login");
    await page.waitForFunction(() => document.querySelector("#login-error").textContent.length > 0);
    await page.close();
  });
  await step("two people log in and see each other online with their devices", async () => {
    alice = await logIn(aliceBrowser, "alice", "laptop");
    bob = await logIn(bobBrowser, "bob", "phone");
    await userRow(alice, "bob", "online");
    await userRow(bob, "alice", "online");
    await alice.waitForSelector('#users [data-user="bob"] .devices :text("phone")');
  });
  await step("a message to everybody arrives", async () => {
    await say(alice, "hello everybody");
    await line(bob, "hello everybody");
  });
  await step("markup in a message stays text", async () => {
    await say(alice, "<b id=evil>bold</b>");
    await line(bob, "<b id=evil>bold</b>");
    check((await count(bob, "#evil")) === 0, "the message became an element");
  });
  await step("a message to one user arrives there, with an unread mark, and says whom it reached", async () => {
    await openUser(alice, "bob");
    await say(alice, "only for bob");
    await alice.waitForSelector('#log .line:has-text("only for bob"):has-text("reached 1")');
    await bob.waitForSelector('#users [data-user="alice"] .badge:not([hidden]):text("1")');
    await openUser(bob, "alice");
    await line(bob, "only for bob");
    check((await count(bob, '#users [data-user="alice"] .badge:not([hidden])')) === 0, "the unread mark stayed");
    check((await count(alice, '#log .line:has-text("only for bob")')) === 1, "the sender sees the message twice");
    await everybody(alice);
    await everybody(bob);
    check((await count(bob, '#log .line:has-text("only for bob")')) === 0, "a message for one stands among those for everybody");
  });
  await step("a second tab is a second connection of the same login", async () => {
    bobsTab = await openPage(bobBrowser);
    await connected(bobsTab);
    await say(alice, "to both tabs");
    await line(bob, "to both tabs");
    await line(bobsTab, "to both tabs");
    await bobsTab.close();
    await say(alice, "to the tab that stayed");
    await line(bob, "to the tab that stayed");
    await userRow(alice, "bob", "online");
  });
  await step("a hidden tab makes the user away, a visible one online again", async () => {
    await setVisibility(bob, "hidden");
    await userRow(alice, "bob", "away");
    await shot(alice, "away");
    await setVisibility(bob, "visible");
    await userRow(alice, "bob", "online");
  });
  await step("a reload within the grace period is silent", async () => {
    await bob.reload();
    await connected(bob);
    await say(bob, "back from the reload");
    await line(alice, "back from the reload");
    check((await count(alice, '#log [data-event="offline"][data-user="bob"]')) === 0, "alice saw bob go offline");
  });
  await step("who loses the network hears what was said meanwhile, in order, once", async () => {
    const network = await cable(base);
    const carol = await logIn(bobBrowser, "carol", "train", undefined, network.url);
    await userRow(alice, "carol", "online");
    await say(alice, "before the tunnel");
    await line(carol, "before the tunnel");
    network.cut();
    await carol.waitForSelector('#state[data-state="waiting"]');
    await shot(carol, "tunnel");
    await say(alice, "in the tunnel");
    await openUser(alice, "carol");
    await say(alice, "for carol in the tunnel");
    await everybody(alice);
    await backOnline(carol, network);
    await connected(carol);
    await say(alice, "after the tunnel");
    await line(carol, "after the tunnel");
    const said = carol.heard.filter(({ kind }) => kind === "chat").map(({ data }) => data.text);
    const expected = ["before the tunnel", "in the tunnel", "for carol in the tunnel", "after the tunnel"];
    check(JSON.stringify(said) === JSON.stringify(expected), `carol heard ${said}`);
    const shown = await carol.locator("#log .line:not(.system) span").allInnerTexts();
    check(JSON.stringify(shown) === JSON.stringify(expected.filter((text) => text !== expected[2])), `carol sees ${shown}`);
    const welcomes = carol.heard.filter(({ type }) => type === "welcome").map(({ resumed }) => resumed);
    check(welcomes.length === 2 && welcomes[1] === true, `the connection was not resumed: ${welcomes}`);
    await openUser(carol, "alice");
    check((await count(carol, '#log .line:has-text("for carol in the tunnel")')) === 1, "what was for her alone is not there once");
    await carol.click("#logout");
    await userRow(alice, "carol", "offline");
    await carol.close();
  });
  await step("the page speaks Chinese too", async () => {
    await alice.click("#lang");
    await alice.waitForSelector('#send:text("发送")');
    await shot(alice, "chinese");
    await alice.click("#lang");
    await alice.waitForSelector('#send:text("Send")');
  });
  await step("the admin kicks bob, who is told why and stays away", async () => {
    admin = await logIn(adminBrowser, "admin", "desk", adminPassword);
    await userRow(admin, "bob", "online");
    check((await count(alice, '#log [data-event="offline"][data-user="bob"]')) === 0, "bob went offline before the kick");
    await shot(admin, "admin");
    await admin.click('[id="kick-bob"]');
    await admin.fill("#kick-reason", "house rules");
    await admin.click("#kick-confirm");
    await bob.waitForSelector('#banner[data-code="4423"]:has-text("house rules")');
    await userRow(alice, "bob", "offline");
    await alice.waitForSelector('#log [data-event="offline"][data-user="bob"]');
    await shot(bob, "kicked");
  });
  await step("the kicked page does not come back by itself, not even when it is looked at", async () => {
    await setVisibility(bob, "visible");
    await bob.evaluate(() => dispatchEvent(new Event("online")));
    await say(alice, "after the kick");
    check((await bob.getAttribute("#state", "data-state")) === "stopped", "the page tries to reconnect");
    await userRow(alice, "bob", "offline");
    await bob.reload();
    check(await bob.isVisible("#login"), "the page still has its login");
  });
  await step("a fresh login after the kick is welcome", async () => {
    await bob.fill("#name", "bob");
    await bob.click("#login");
    await connected(bob);
    await userRow(alice, "bob", "online");
  });
  await step("a log-out is seen at once", async () => {
    await bob.click("#logout");
    await userRow(alice, "bob", "offline");
    await shot(alice, "end");
  });
  await step("the page fits a phone", async () => {
    await alice.setViewportSize({ width: 390, height: 760 });
    check(await alice.isVisible("#send"), "no way to send");
    check(await alice.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
    await shot(alice, "phone-chat");
    await alice.click("#people");
    check(await alice.isVisible('#users [data-user="bob"]'), "no list of people");
    await shot(alice, "phone-people");
  });
}

await main(run);
