// What the scripts that use a page as people would have alike: browsers, steps, a network that can be cut, the line of
// JSON at the end.
//
// A script prints {"ok":true,"steps":n}, or {"ok":false,"step":"…","error":"…"} and ends with 1.
// The browser is $CHROMIUM, by default /usr/bin/chromium. With $SHOTS, the folder for them, screenshots are taken.

import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const PATIENCE = 15_000; // ms, for one condition
const FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

let steps = 0;
let current = "start";
const profiles = [];
const cables = [];

export async function step(name, run) {
  current = name;
  await run();
  steps += 1;
}

/** A person with a browser profile of their own. */
export async function person(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "herenow-browser-"));
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  const defaults = { executablePath, args: FLAGS.split(" "), locale: "en-GB", viewport: { width: 1100, height: 720 } };
  const context = await chromium.launchPersistentContext(profile, { ...defaults, ...options });
  profiles.push({ context, profile });
  context.setDefaultTimeout(PATIENCE);
  return context;
}

/** A tab, and in `heard` every frame that a socket of the page is told. */
export async function openPage(context, url) {
  const page = await context.newPage();
  watch(page);
  page.heard = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => page.heard.push(JSON.parse(payload))));
  await page.goto(url);
  return page;
}

/** A page that throws, or asks for something that its policy forbids, fails the script. */
export function watch(page) {
  page.on("pageerror", (error) => { throw new Error(`the page threw: ${error.message}`); });
  page.on("console", (line) => {
    if (line.text().includes("Content Security Policy")) throw new Error(`the page broke its policy: ${line.text()}`);
  });
}

export function check(condition, complaint) {
  if (!condition) throw new Error(complaint);
}

/** Asks until the answer is yes. */
export async function until(complaint, ask) {
  const end = Date.now() + PATIENCE;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(complaint);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function shot(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), fullPage: true });
}

/**
 * A network of one's own to the server at `base`: whoever goes by its `url` is without a network from `cut()` to `mend()`.
 * A browser's own switch does not do it, since it leaves open WebSockets as they are.
 */
export async function cable(base) {
  const { hostname, port } = new URL(base);
  const ends = new Set();
  let isCut = false;
  const server = createServer((near) => {
    const far = isCut ? undefined : connect(Number(port), hostname);
    if (!far) return near.destroy();
    for (const [one, other] of [[near, far], [far, near]]) {
      ends.add(one);
      one.on("error", () => {}); // `close` follows.
      one.on("close", () => { ends.delete(one); other.destroy(); });
      one.pipe(other);
    }
  });
  const drop = () => ends.forEach((end) => end.destroy());
  cables.push({ close: () => { server.close(); drop(); } });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut: () => { isCut = true; drop(); },
    mend: () => { isCut = false; },
  };
}

/** The network of a page is back, and its browser notices. */
export async function backOnline(page, network) {
  network.mend();
  await page.evaluate(() => dispatchEvent(new Event("online")));
}

async function cleanUp() {
  cables.forEach((one) => one.close());
  for (const { context, profile } of profiles) {
    await context.close().catch(() => {});
    if (existsSync(profile)) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function fail(error) {
  console.log(JSON.stringify({ ok: false, step: current, error: String(error?.message ?? error).replace(/\u001b\[\d+m/g, "") }));
  process.exitCode = 1;
}

/** Runs the script, and says how it went. */
export async function main(run) {
  // A page that threw is no promise of ours: without this, Node would end before the line is printed.
  process.on("uncaughtException", (error) => { fail(error); cleanUp().finally(() => process.exit(1)); });
  try {
    await run();
    console.log(JSON.stringify({ ok: true, steps }));
  } catch (error) {
    fail(error);
  } finally {
    await cleanUp();
  }
}
