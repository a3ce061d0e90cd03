// Logs a browser in by its QR code in headless Chromium, as people would; see harness.mjs for what it prints.
//
//   node qr.mjs <base URL> <base URL of a server whose codes are good for a few seconds>

import jsQR from "jsqr";
import WebSocket from "ws";
import { check, main, openPage, person, shot, step, until, watch } from "./harness.mjs";

const [base, hasty] = process.argv.slice(2);
const PHONE = { viewport: { width: 390, height: 760 }, hasTouch: true, isMobile: true };

const shows = (page, status) => page.waitForSelector(`#code[data-status="${status}"]`);
const loggedInAs = (page, name) => page.waitForSelector(`#home-view:not([hidden]) #me:text-is("${name}")`);
const waiting = async (server) => (await (await fetch(`${server}/v1/qr-login/waiting`)).json()).waiting;
const session = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("herenow.qr.session")));

/** Reads the code as a camera does: from the picture. */
async function decode(page) {
  await page.waitForFunction(() => document.querySelector("#qr").complete && document.querySelector("#qr").naturalWidth > 0);
  const { pixels, size } = await page.evaluate(() => {
    const canvas = document.createElement("canvas");
    const size = canvas.width = canvas.height = 600;
    const context = canvas.getContext("2d");
    context.drawImage(document.querySelector("#qr"), 0, 0, size, size);
    return { pixels: [...context.getImageData(0, 0, size, size).data], size };
  });
  return jsQR(Uint8ClampedArray.from(pixels), size, size)?.data;
}

/** A second tab of the same session: the browser copies the first one's storage. */
async function secondTab(page) {
  const opened = page.context().waitForEvent("page");
  await page.evaluate(() => { window.open(location.href); });
  const tab = await opened;
  watch(tab);
  return tab;
}

async function phoneLogIn(page, name) {
  await page.fill("#name", name);
  await page.click("#login");
}

async function fits(page, width) {
  await page.setViewportSize({ width, height: 760 });
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `the page scrolls sideways at ${width} px`);
}

async function run() {
  const [desk, pocket, stranger] = [await person(), await person(PHONE), await person(PHONE)];
  let page, tab, phone;

  await step("the page shows a code that decodes to the phone's address, and waits", async () => {
    page = await openPage(desk, base);
    await shows(page, "waiting");
    const url = await decode(page);
    check(url?.startsWith(`${base}/phone?code=`), `the code says ${url}`);
    check(url === (await page.getAttribute("#scan", "href")), "the link and the code differ");
    check(!url.includes((await session(page)).sessionId), "the code gives away the session");
    await until("nobody waits", async () => (await waiting(base)) === 1);
    await shot(page, "qr-waiting");
  });
  await step("a phone logs in, scans, and is asked", async () => {
    phone = await openPage(pocket, await decode(page));
    await shot(phone, "qr-phone-login");
    await phoneLogIn(phone, "alice");
    await phone.waitForSelector('#ask-view:not([hidden]) #browser:has-text("Chrome on Linux")');
    await shows(page, "scanned");
    await shot(phone, "qr-phone-ask");
    await shot(page, "qr-scanned");
  });
  await step("a page that reloads while it waits shows the same code, scanned", async () => {
    const before = await session(page);
    await page.reload();
    await shows(page, "scanned");
    check((await session(page)).sessionId === before.sessionId, "a new session was begun");
  });
  await step("another phone is refused in words, and the page is not impressed", async () => {
    const other = await openPage(stranger, await page.getAttribute("#scan", "href"));
    await phoneLogIn(other, "mallory");
    await other.waitForSelector('#banner:has-text("Somebody else scanned this QR code")');
    check(await other.isHidden("#ask-view"), "the stranger is asked");
    await shows(page, "scanned");
    await other.close();
  });
  await step("a phone says no, both tabs hear it, and a new code can be had", async () => {
    tab = await secondTab(page);
    await shows(tab, "scanned");
    await phone.click("#cancel");
    await phone.waitForSelector("#home-view:not([hidden])");
    await shows(page, "cancelled");
    await shows(tab, "cancelled");
    await until("somebody still waits", async () => (await waiting(base)) === 0);
    await tab.close();
    await page.click("#renew");
    await shows(page, "waiting");
  });
  await step("a phone confirms, and both tabs are logged in", async () => {
    tab = await secondTab(page);
    await shows(tab, "waiting");
    await until("the two do not wait", async () => (await waiting(base)) === 2);
    await phone.goto(await decode(page));
    await phone.waitForSelector("#ask-view:not([hidden])");
    await phone.click("#confirm");
    await phone.waitForSelector('#news:has-text("Chrome on Linux is logged in")');
    await loggedInAs(page, "alice");
    await loggedInAs(tab, "alice");
    await until("somebody still waits", async () => (await waiting(base)) === 0);
  });
  await step("the page shows who is online and where the user is logged in", async () => {
    await page.waitForSelector('#people [data-user="alice"][data-status="online"]');
    await page.waitForSelector('#logins [data-device="phone"]');
    await page.waitForSelector('#logins [data-device="web"]:has-text("this device")');
    await phone.waitForSelector('#logins [data-device="web"] button');
    await shot(page, "qr-home");
    await shot(phone, "qr-phone-home");
  });
  await step("a code is good once: the phone that comes again is told", async () => {
    const used = await openPage(pocket, `${base}/phone?code=${"0".repeat(32)}`);
    await used.waitForSelector('#banner:has-text("No such QR code")');
    await used.close();
  });
  await step("the login survives a reload, and a new tab has it", async () => {
    await page.reload();
    await loggedInAs(page, "alice");
    await tab.close();
    tab = await openPage(desk, base);
    await loggedInAs(tab, "alice");
  });
  await step("the phone logs the browser out: both tabs say so and show a code", async () => {
    await phone.click('#logins [data-device="web"] button');
    for (const one of [page, tab]) {
      await one.waitForSelector('#banner:has-text("You were logged out from your phone")');
      await shows(one, "waiting");
    }
    await phone.waitForSelector('#news:has-text("is logged out")');
    check((await phone.locator('#logins [data-device="web"]').count()) === 0, "the login is still listed");
    await shot(page, "qr-kicked");
    await page.reload();
    await shows(page, "waiting");
    await tab.close();
  });
  await step("the page logs out by itself too", async () => {
    await phone.goto(await decode(page));
    await phone.click("#confirm");
    await loggedInAs(page, "alice");
    await phone.waitForSelector('#logins [data-device="web"]');
    await page.click("#logout");
    await shows(page, "waiting");
    check(await page.isHidden("#banner"), "a log-out is no reason for a banner");
    await phone.waitForFunction(() => !document.querySelector('#logins [data-device="web"]'));
  });
  await step("a code that nobody scans expires, and a new one can be had", async () => {
    const late = await openPage(desk, hasty);
    await shows(late, "expired");
    await until("somebody still waits", async () => (await waiting(hasty)) === 0);
    await shot(late, "qr-expired");
    await late.click("#renew");
    await shows(late, "waiting");
    await late.close();
  });
  await step("a page that comes back after the end is told so", async () => {
    const late = await openPage(desk, hasty);
    await shows(late, "waiting");
    const { sessionId, scanUrl } = await session(late);
    await late.goto("about:blank");
    await expired(sessionId);
    await late.goto(hasty);
    await shows(late, "expired");
    const slow = await openPage(pocket, scanUrl);
    await phoneLogIn(slow, "alice");
    await slow.waitForSelector('#banner:has-text("has expired")');
    await slow.close();
    await late.close();
  });
  await step("both pages fit a small phone", async () => {
    for (const one of [page, phone]) await fits(one, 360);
    await shot(page, "qr-narrow");
  });
}

/** Waits as a page does, until the server says that the time is over. */
function expired(sessionId) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${hasty.replace("http", "ws")}/v1/ws/qr/${sessionId}`);
    let last;
    socket.on("message", (data) => { last = JSON.parse(String(data)).status; });
    socket.on("close", (code) => (last === "expired" && code === 4410 ? resolve() : reject(new Error(`it said ${last} and closed with ${code}`))));
    socket.on("error", reject);
  });
}

await main(run);
