// Opens the page of redis-two-nodes in headless Chromium, twice, and ends its nodes under it; see harness.mjs for what it prints.
//
//   node two-nodes.mjs <base URL>

import { check, main, openPage, person, shot, step, until } from "./harness.mjs";

const [base] = process.argv.slice(2);

async function logIn(name, node, options) {
  const page = await openPage(await person(options), base);
  await page.fill("#name", name);
  await page.selectOption("#want", node);
  await page.click('[data-testid="login"]');
  await page.waitForSelector('#state[data-state="open"]');
  return page;
}

const sits = (page, name, node) => page.waitForSelector(`#people tr[data-name="${name}"][data-node="${node}"]`);
const line = (page, text) => page.waitForSelector(`#log li:has-text("${text}")`);
const stands = (page, node, state) => page.waitForSelector(`#nodes li[data-name="${node}"][data-state="${state}"]`);
const lines = (page, text) => page.locator(`#log li:has-text("${text}")`).count();
const tell = (page, what, node) => page.click(`[data-testid="${what}-${node}"]`);

async function push(page, to, text) {
  await page.selectOption("#to", to);
  await page.fill("#text", text);
  await page.click('[data-testid="send"]');
}

main(async () => {
  let alice;
  let bob;
  let carol;
  await step("each sees on which node the other sits", async () => {
    alice = await logIn("alice", "axum");
    bob = await logIn("bob", "actix", { colorScheme: "dark", viewport: { width: 390, height: 800 } });
    for (const page of [alice, bob]) {
      await sits(page, "alice", "axum");
      await sits(page, "bob", "actix");
    }
    await line(alice, "bob: join");
    for (const node of ["axum", "actix"]) await stands(alice, node, "up");
  });
  await step("what has not changed is not drawn anew", async () => {
    const button = await alice.waitForSelector('[data-testid="kick-bob"]');
    await button.focus();
    const looks = await alice.evaluate(() => performance.getEntriesByName(`${location.origin}/nodes`).length);
    await alice.waitForFunction((before) => performance.getEntriesByName(`${location.origin}/nodes`).length > before + 1, looks);
    check(await button.evaluate((one) => one.isConnected && one === document.activeElement), "the focus is lost");
  });
  await step("a push goes from one node to the other", async () => {
    await push(alice, "bob", "hello over there");
    await line(bob, "alice, by way of axum: hello over there");
    await line(alice, "pushed to bob: 0 sockets on this node, 1 on the other");
    await shot(alice, "two-nodes");
    await shot(bob, "two-nodes-phone-dark");
  });
  await step("a node is killed and its people go on at the other", async () => {
    await tell(bob, "kill", "axum");
    for (const page of [alice, bob]) await sits(page, "alice", "actix");
    await line(bob, "the axum node is gone");
    await line(bob, "alice sits on actix now");
    await push(bob, "alice", "are you there?");
    await line(alice, "bob, by way of actix: are you there?");
    await shot(bob, "two-nodes-killed");
  });
  await step("it is started again and takes new people", async () => {
    await tell(bob, "start", "axum");
    await line(bob, "the axum node is up");
    carol = await logIn("carol", "axum");
    for (const page of [alice, bob, carol]) await sits(page, "carol", "axum");
  });
  await step("who does not come back from a killed node is offline, once", async () => {
    await carol.context().setOffline(true); // It leaves her socket as it is, and lets her open no other.
    await tell(bob, "kill", "axum");
    for (const page of [alice, bob]) await line(page, "carol: offline");
    await until("carol is still listed", async () => (await bob.locator('#people tr[data-name="carol"]').count()) === 0);
    await shot(alice, "two-nodes-offline");
    await carol.context().close();
    await tell(bob, "start", "axum");
    await stands(bob, "axum", "up");
  });
  await step("a node drains, and nobody misses anything or is seen to leave", async () => {
    await tell(bob, "drain", "actix");
    for (const page of [alice, bob]) {
      await sits(page, "alice", "axum");
      await sits(page, "bob", "axum");
      await line(page, "back, and nothing was missed");
    }
    check((await lines(bob, "alice: offline")) === 0, "alice was seen to leave");
  });
  await step("a kick reaches the other node", async () => {
    await tell(bob, "start", "actix");
    await stands(bob, "actix", "up");
    const dave = await logIn("dave", "actix");
    await sits(bob, "dave", "actix");
    await bob.click('[data-testid="kick-dave"]');
    await dave.waitForSelector("#login-view:not([hidden])");
    await dave.waitForSelector('#login-error:has-text("bob kicked you")');
    await until("dave is still listed", async () => (await bob.locator('#people tr[data-name="dave"]').count()) === 0);
    for (const page of [alice, bob]) check((await lines(page, "carol: offline")) === 1, "carol left twice");
  });
  await step("the page fits a phone", async () => {
    await alice.setViewportSize({ width: 360, height: 760 });
    for (const page of [alice, bob]) check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
    await shot(alice, "two-nodes-phone");
    await alice.click("#logout");
    await shot(alice, "two-nodes-login");
  });
});
