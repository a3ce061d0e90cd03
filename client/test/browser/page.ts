// Pages of a real browser, with the script that a server serves at `/presence/client.js`.
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import type { Address } from "../server/conformance.js";
import { until, type World } from "../server/world.js";

const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

/** Around the client: what it hears, to be asked for. */
const AROUND = `
  const told = { pushes: [], states: [], resumed: [], kicked: [], presence: [] };
  let client;
  function start(options) {
    const { url = "/ws", fallback, ...rest } = options;
    client = new herenow.Herenow(url, { backoff: { min: 10, max: 100 }, ...rest, fallback: fallback && herenow.sse(fallback) });
    client.on("push", ({ data }) => told.pushes.push(data));
    client.on("state", (change) => told.states.push(change));
    client.on("resumed", (isResumed) => told.resumed.push(isResumed));
    client.on("kicked", (frame) => told.kicked.push(frame));
    client.connect().catch(() => {});
  }
  function follow(channel) {
    const list = client.presence(channel);
    list.onJoin(({ id }, event) => told.presence.push((event?.action ?? "is there") + " " + id));
    list.onLeave(({ id }, event) => told.presence.push((event?.action ?? "is gone") + " " + id));
    return list.ready;
  }`;

/** A page of the server's own, so that its cookie counts; nothing about it is made up, as Chromium would notice. */
const PAGE = "/healthz";

/** What `start` takes, as JSON. */
export interface Start {
  token?: string;
  cookies?: boolean;
  url?: string;
  /** The address of the events that take a socket's place. */
  fallback?: string;
  backoff?: { min: number; max: number };
  away?: { hidden: number; idle: number };
}

let browser: Browser;

/** One browser for the file's tests. */
export function withBrowser(): void {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium", args: FLAGS.split(" ") });
  });
  afterAll(() => browser?.close());
}

/** Somebody's browser: cookies of their own, any number of tabs. */
export class Person {
  readonly context: BrowserContext;
  readonly #problems: string[] = [];

  private constructor(context: BrowserContext) {
    this.context = context;
  }

  static async of(world: World): Promise<Person> {
    const context = await browser.newContext();
    const person = new Person(context);
    world.later(async () => {
      await context.close();
      if (person.#problems.length) throw new Error(person.#problems.join("\n"));
    });
    return person;
  }

  /** A tab with the client's script, which is not started yet. */
  async tab(to: Address): Promise<Tab> {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.#problems.push(`the page threw: ${error.message}`));
    await page.goto(to.http + PAGE);
    const tab = new Tab(page);
    await tab.load();
    return tab;
  }

  /** The server's cookie. */
  cookie(to: Address, token: string): Promise<void> {
    return this.context.addCookies([{ name: "token", value: token, url: to.http }]);
  }
}

export class Tab {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Puts the scripts into the page; after a reload once more. */
  async load(): Promise<void> {
    await this.page.addScriptTag({ url: "/presence/client.js" });
    await this.page.addScriptTag({ content: AROUND });
  }

  /** Makes the client and connects it, without waiting for that. */
  start(options: Start): Promise<unknown> {
    return this.run(`start(${JSON.stringify(options)})`);
  }

  /** What a line of script is worth in the page. */
  run(script: string): Promise<any> {
    return this.page.evaluate(script);
  }

  /** Waits for the client's state. */
  async is(state: string): Promise<void> {
    await until(async () => {
      const now = await this.run("client.state");
      if (now !== state) throw new Error(`the client is ${now}, not ${state}: ${await this.run("JSON.stringify(told)")}`);
    });
  }

  told(what: "pushes" | "states" | "resumed" | "kicked" | "presence"): Promise<any[]> {
    return this.run(`told.${what}`);
  }
}
