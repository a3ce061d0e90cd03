// Opens the page of redis-two-nodes in headless Chromium, twice, and ends its nodes under it; see harness.mjs for what it prints.
//
//   node two-nodes.mjs <base URL>

import { main, openPage, person, shot, step, until } from "./harness.mjs";

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
const tell = (page, what, node) => page.click(`[data-testid="${what}-${node}"]`);

async function push(page, to, text) {
  await page.selectOption("#to", to);
  await page.fill("#text", text);
  await page.click('[data-testid="send"]');
}

main(async () => {
  let alice;
  let bob;
  await step("each sees on which node the other sits", async () => {
    alice = await logIn("alice", "axum");
    bob = await logIn("bob", "actix", { colorScheme: "dark", viewport: { width: 390, height: 800 } });
    for (const page of [alice, bob]) {
      await sits(page, "alice", "axum");
      await sits(page, "bob", "actix");
    }
    await line(alice, "bob: join");
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
    await push(bob, "alice", "are you there?");
    await line(alice, "bob, by way of actix: are you there?");
    await shot(bob, "two-nodes-killed");
  });
  await step("it is started again and takes new people", async () => {
    await tell(bob, "start", "axum");
    await line(bob, "the axum node is up");
    const carol = await logIn("carol", "axum");
    for (const page of [alice, bob, carol]) await sits(page, "carol", "axum");
    await carol.context().close();
  });
  await step("a node drains, and nobody misses anything or is seen to leave", async () => {
    await tell(bob, "drain", "actix");
    for (const page of [alice, bob]) {
      await sits(page, "alice", "axum");
      await sits(page, "bob", "axum");
      await line(page, "back, and nothing was missed");
    }
    const left = await bob.locator('#log li:has-text("alice: offline")').count();
    if (left > 0) throw new Error("alice was seen to leave");
  });
  await step("a kick reaches the other node", async () => {
    await tell(bob, "start", "actix");
    await line(bob, "the actix node is up");
    const dave = await logIn("dave", "actix");
    await sits(bob, "dave", "actix");
    await bob.click('[data-testid="kick-dave"]');
    await dave.waitForSelector("#login-view:not([hidden])");
    await dave.waitForSelector('#login-error:has-text("bob kicked you")');
    await until("dave is still listed", async () => (await bob.locator('#people tr[data-name="dave"]').count()) === 0);
  });
});
