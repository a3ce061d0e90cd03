// How a client says who it is, what it hears, and what it does where it is refused.
import { WebSocket } from "ws";
import { describe, expect } from "vitest";
import { HerenowError, UnauthorizedError } from "../../src/index.js";
import { contents, heard, onEveryAdapter, socketWith, until } from "./world.js";

/** What is offered in the upgrade, and said first. */
function spy() {
  const seen: { offered: string[][]; said: any[]; chosen: string[] } = { offered: [], said: [], chosen: [] };
  class Spy extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      seen.offered.push(protocols);
      this.on("open", () => seen.chosen.push(this.protocol));
    }
    override send(text: any): void {
      seen.said.push(JSON.parse(text));
      super.send(text);
    }
  }
  return { seen, WebSocket: Spy };
}

onEveryAdapter((it) => {
  describe("a token", () => {
    it("goes into the upgrade as a subprotocol", async ({ world }) => {
      const alice = world.name("alice");
      const { seen, WebSocket } = spy();
      const client = await world.online(alice, { WebSocket });
      expect(client.welcome).toMatchObject({ type: "welcome", user: alice, resumed: false, seq: 0, heartbeat: { interval: 30_000, timeout: 10_000 } });
      expect(seen.offered[0]![1]).toMatch(/^base64url\.bearer\.herenow\./);
      expect(seen.chosen).toEqual(["herenow.v1.json"]);
      expect(seen.said[0]).toEqual({ type: "hello" });
    });

    it("goes into the first message where it is too long for a header, or where that is wanted", async ({ world }) => {
      const alice = world.name("alice");
      for (const [firstMessage, data] of [["auto", "x".repeat(2_000)], [true, "short"]] as const) {
        const { seen, WebSocket } = spy();
        const client = await world.online(alice, { WebSocket, firstMessage, login: { data } });
        expect(client.welcome?.user).toBe(alice);
        expect(seen.offered).toEqual([["herenow.v1.json"]]);
        expect(Object.keys(seen.said[0])).toEqual(["type", "token"]);
      }
    });

    it("is not needed where a cookie says who it is", async ({ world }) => {
      const alice = world.name("alice");
      const token = await world.server.login(alice);
      const { http } = world.server;
      const client = world.client(world.server, { cookies: true, WebSocket: socketWith({ cookie: `token=${token}`, origin: http }) });
      expect((await client.connect()).user).toBe(alice);
    });
  });

  describe("a push", () => {
    it("comes with text, with JSON and with its kind, as it was sent", async ({ world }) => {
      const alice = world.name("alice");
      const client = await world.online(alice);
      const pushes = heard(client, "push");
      const root = await world.server.login("root");
      await world.server.push(alice, 'a "text" — 文字');
      const content = { order: 7, lines: ["a", null, { __proto__: 1 }] };
      await world.server.postAs(root, "/presence-admin/push", { loginId: alice, content, kind: "order" });
      await until(() => expect(pushes).toHaveLength(2));
      expect(pushes[0]).toMatchObject({ type: "push", kind: "text", data: 'a "text" — 文字', mid: expect.any(String), time: expect.any(Number) });
      expect(pushes[1]).toMatchObject({ kind: "order", data: content });
    });

    it("reaches every device of the user, and one where one is named", async ({ world }) => {
      const alice = world.name("alice");
      const [phone, web] = [await world.online(alice, { device: "phone" }), await world.online(alice, { device: "web" })];
      const [onPhone, onWeb] = [contents(phone), contents(web)];
      await world.server.admin("push", { loginId: alice, device: "phone", content: "for the phone" });
      await world.server.push(alice, "for both");
      await until(() => expect([onPhone, onWeb]).toEqual([["for the phone", "for both"], ["for both"]]));
    });
  });

  describe("a message to the application", () => {
    it("is answered where an answer is wanted", async ({ world }) => {
      const client = await world.online(world.name());
      expect(await client.send("echo:hello", { reply: true })).toBe("echo:hello");
      expect(await client.send("nobody answers this")).toBeUndefined();
    });

    it("whose handler panics costs the connection, and the client comes back", async ({ world }) => {
      const client = await world.online(world.name());
      const [states, resumed] = [heard(client, "state"), heard(client, "resumed")];
      const refused = await client.send("panic!", { reply: true }).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(HerenowError);
      expect(refused).toMatchObject({ code: "disconnected", temporary: true });
      await until(() => expect(resumed).toEqual([true]));
      expect(states[0]).toMatchObject({ state: "waiting", code: 4500, reason: "internal" });
    });

    it("waits for the connection, a bounded number of them", async ({ world }) => {
      const alice = world.name("alice");
      const client = world.client(world.server, { getToken: () => world.server.login(alice), bufferSize: 2 });
      const opening = client.connect();
      const [first, second, third] = [1, 2, 3].map((n) => client.send(`echo:${n}`, { reply: true }));
      await expect(third).rejects.toMatchObject({ code: "buffer_full", temporary: true });
      await opening;
      expect(await Promise.all([first, second])).toEqual(["echo:1", "echo:2"]);
    });
  });

  describe("a refusal", () => {
    it("of a forged token stops the client, with the server's words", async ({ world }) => {
      const client = world.client(world.server, { token: `${await world.server.login(world.name())}x` });
      const states = heard(client, "state");
      await expect(client.connect()).rejects.toMatchObject({ code: "unauthorized" });
      expect(client.state).toBe("closed");
      expect(states.map(({ state }) => state)).toEqual(["connecting", "closed"]);
      expect(states.at(-1)).toMatchObject({ code: 4401, reason: "unauthorized" });
    });

    it("of a first message says what is wrong with it", async ({ world }) => {
      const client = world.client(world.server, { token: "x".repeat(5_000) });
      await expect(client.connect()).rejects.toThrow(/5000 bytes/);
      expect(client.state).toBe("closed");
    });

    it("fetches a token once, and goes on with a good one", async ({ world }) => {
      const alice = world.name("alice");
      const good = await world.server.login(alice);
      const tokens = [`${good}x`, good];
      const client = world.client(world.server, { getToken: () => tokens.shift()! });
      expect((await client.connect().catch(() => client.connect())).user).toBe(alice);
      expect(tokens).toEqual([]);
    });

    it("of that one, too, is the end", async ({ world }) => {
      let fetched = 0;
      const client = world.client(world.server, { getToken: () => `forged ${++fetched}` });
      await expect(client.connect()).rejects.toMatchObject({ code: "unauthorized" });
      expect([client.state, fetched]).toEqual(["closed", 2]);
    });

    it("by `getToken` stops it before anything is sent", async ({ world }) => {
      const proxy = await world.proxy();
      const client = world.client(proxy, { getToken: () => { throw new UnauthorizedError("please log in"); } });
      await expect(client.connect()).rejects.toMatchObject({ code: "unauthorized", temporary: false });
      expect([client.state, proxy.accepted]).toEqual(["closed", 0]);
    });
  });

  it("a client that closes is offline at once, and may connect again", async ({ world }) => {
    const alice = world.name("alice");
    const patient = await world.start("--grace-ms", "60000");
    const client = await world.online(alice, { server: patient });
    client.close();
    await until(async () => expect((await patient.user(alice)).online).toBe(false));
    expect((await client.connect()).resumed).toBe(false);
  });
});
