// What a test on a real server has: clients, users, servers and proxies that end with it.
import { WebSocket } from "ws";
import { describe, inject, test as base, vi, type TestAPI } from "vitest";
import { Herenow, type Events, type Options, type Push } from "../../src/index.js";
import { ADAPTERS, Server, type Adapter, type Address, type Login } from "./conformance.js";
import { Proxy } from "./proxy.js";

/** How long anything may take that should come soon, in ms. */
const PATIENCE = 10_000;

/** Waits until nothing is thrown any more. */
export const until = (holds: () => unknown) => vi.waitFor(holds, { timeout: PATIENCE, interval: 5 });

/** The same tests on every adapter, or on some. */
export function onEveryAdapter(tests: (it: TestAPI<{ world: World }>) => void, adapters: readonly Adapter[] = ADAPTERS): void {
  describe.each(adapters)("%s", (adapter) => {
    tests(base.extend<{ world: World }>({
      world: async ({}, use) => {
        const world = new World(adapter);
        await use(world);
        await world.end();
      },
    }));
  });
}

let names = 0;

export class World {
  readonly adapter: Adapter;
  /** The server that all tests share. */
  readonly server: Server;
  readonly #ends: (() => unknown)[] = [];

  constructor(adapter: Adapter) {
    this.adapter = adapter;
    this.server = new Server(inject("servers")[adapter]);
  }

  /** A name that no other test uses. */
  name(begin = "user"): string {
    return `${begin}-${process.pid}-${++names}`;
  }

  /** A server of this test's own. */
  async start(...options: string[]): Promise<Server> {
    const server = await Server.start(this.adapter, options);
    this.#ends.push(() => server.stop());
    return server;
  }

  /** A network that can fail. */
  async proxy(server: Address = this.server): Promise<Proxy> {
    const proxy = await Proxy.before(server);
    this.#ends.push(() => proxy.end());
    return proxy;
  }

  /** A client that is not connected yet. */
  client<UserData>(to: Address, options: Options): Herenow<UserData> {
    const client = new Herenow<UserData>(to.ws, { WebSocket, backoff: { min: 10, max: 100 }, ...options });
    this.later(client.close);
    return client;
  }

  /** A user's client that is connected. */
  async online<UserData = unknown>(user: string, { to, server = this.server, login, ...options }: Options & { to?: Address; server?: Server; login?: Login } = {}): Promise<Herenow<UserData>> {
    const client = this.client<UserData>(to ?? server, { getToken: () => server.login(user, login), ...options });
    await client.connect();
    return client;
  }

  /** Ends something with the test. */
  later(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** The end of the test, in the reverse order of its beginning. */
  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}

/** All that a client hears of one kind, in order. */
export function heard<Type extends keyof Events<any>>(client: Pick<Herenow<any>, "on">, type: Type): Events<any>[Type][] {
  const all: Events<any>[Type][] = [];
  client.on(type, (event) => all.push(event));
  return all;
}

/** The contents of its pushes, in order. */
export function contents(client: Pick<Herenow<any>, "on">): unknown[] {
  const all: unknown[] = [];
  client.on("push", ({ data }: Push) => all.push(data));
  return all;
}

/** Sockets with request headers of their own, such as a browser's cookie. */
export const socketWith = (headers: Record<string, string>) =>
  class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { headers });
    }
  };
