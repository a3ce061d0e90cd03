// Pushes where no socket opens: server-sent events, alone and beside a client.
import { EventSource } from "eventsource";
import { expect } from "vitest";
import { EventStream, sse, type EventStreamOptions } from "../../src/sse.js";
import type { Address } from "./conformance.js";
import { contents, heard, onEveryAdapter, socketWith, until, type World } from "./world.js";

const events = ({ http }: Address) => `${http}/presence/events`;

/** Streams of a page: with the headers that a browser sends. */
const source = (headers: Record<string, string> = {}): NonNullable<EventStreamOptions["EventSource"]> =>
  class extends EventSource {
    constructor(url: string) {
      super(url, { fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }) });
    }
  };

/** A stream by tickets, which counts them. */
async function ticketed(world: World, user: string, to: Address = world.server) {
  const token = await world.server.login(user);
  const seen = { tickets: 0 };
  const getTicket = async () => {
    seen.tickets++;
    return (await world.server.postAs(token, "/presence/ticket")).content.ticket;
  };
  const stream = new EventStream(events(to), { getTicket, EventSource: source(), backoff: { min: 10, max: 100 } });
  world.later(() => stream.close());
  return { stream, seen };
}

/** Of a stream's pushes, the contents. */
function said(stream: EventStream): unknown[] {
  const all: unknown[] = [];
  stream.on("push", ({ data }) => all.push(data));
  return all;
}

onEveryAdapter((it) => {
  it("a stream with a ticket hears pushes, and comes back with another ticket", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const { stream, seen } = await ticketed(world, alice, proxy);
    const all = said(stream);
    stream.connect();
    await until(() => expect(stream.state).toBe("open"));
    await world.server.push(alice, "one");
    await until(() => expect(all).toEqual(["one"]));
    proxy.cut();
    await until(() => expect([stream.state, seen.tickets]).toEqual(["open", 2]));
    await world.server.push(alice, "two");
    await until(() => expect(all).toEqual(["one", "two"]));
  });

  it("a stream with a cookie is resumed by the browser itself: nothing is lost, nothing comes twice", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const cookie = `token=${await world.server.login(alice)}`;
    const stream = new EventStream(events(proxy), { EventSource: source({ cookie, origin: proxy.http }) });
    world.later(() => stream.close());
    const [all, welcomes] = [said(stream), [] as boolean[]];
    stream.on("welcome", ({ resumed }) => welcomes.push(resumed));
    stream.connect();
    await until(() => expect(welcomes).toEqual([false]));
    await world.server.push(alice, "one");
    await until(() => expect(all).toEqual(["one"]));
    proxy.isClosed = true;
    proxy.cut();
    await world.server.push(alice, "two");
    await world.server.push(alice, "three");
    proxy.isClosed = false;
    await until(() => expect(all).toEqual(["one", "two", "three"]));
    expect(welcomes).toEqual([false, true]);
  });

  it("a kick ends it, and it stays away", async ({ world }) => {
    const alice = world.name("alice");
    const { stream, seen } = await ticketed(world, alice);
    const kicked: unknown[] = [];
    stream.on("kicked", (frame) => kicked.push(frame));
    stream.connect();
    await until(() => expect(stream.state).toBe("open"));
    await world.server.admin("kick", { loginId: alice, reason: "go away" });
    await until(() => expect(stream.state).toBe("closed"));
    expect(kicked).toMatchObject([{ code: 4423, message: "go away", reconnect: false }]);
    await until(async () => expect((await world.server.user(alice)).online).toBe(false));
    expect([stream.state, seen.tickets]).toEqual(["closed", 1]);
  });

  it("beside a client it brings the pushes while no socket opens, and makes way for one", async ({ world }) => {
    const alice = world.name("alice");
    const network = await world.proxy();
    network.isClosed = true;
    const cookie = `token=${await world.server.login(alice)}`;
    const { http } = world.server;
    const client = world.client(network, {
      cookies: true,
      WebSocket: socketWith({ cookie, origin: network.http }),
      fallback: sse(events(world.server), { EventSource: source({ cookie, origin: http }) }),
    });
    const all = contents(client);
    void client.connect();
    const sessions = async () => (await world.server.user(alice)).sessions.length;
    await until(async () => expect(await sessions()).toBe(1));
    await world.server.push(alice, "over the stream");
    await until(() => expect(all).toEqual(["over the stream"]));
    expect(client.state).not.toBe("open");
    network.isClosed = false;
    await until(() => expect(client.state).toBe("open"));
    await until(async () => expect(await sessions()).toBe(1));
    await world.server.push(alice, "over the socket");
    await until(() => expect(all).toEqual(["over the stream", "over the socket"]));
  });

  it("a kick that only the stream hears stops the client", async ({ world }) => {
    const alice = world.name("alice");
    const network = await world.proxy();
    network.isClosed = true;
    const cookie = `token=${await world.server.login(alice)}`;
    const client = world.client(network, { cookies: true, fallback: sse(events(world.server), { EventSource: source({ cookie, origin: world.server.http }) }) });
    const kicked = heard(client, "kicked");
    void client.connect();
    await until(async () => expect((await world.server.user(alice)).online).toBe(true));
    await world.server.admin("kick", { loginId: alice, reason: "go away" });
    await until(() => expect(client.state).toBe("closed"));
    expect(kicked).toMatchObject([{ code: 4423, message: "go away" }]);
  });
});
