// A network that cuts, refuses and goes silent: what was pushed meanwhile comes once, in order.
import { expect } from "vitest";
import { WebSocket } from "ws";
import { contents, heard, onEveryAdapter, until } from "./world.js";

const CUTS = 200;

/** A socket that tells the types of the frames which come. */
const listening = (seen: string[]) =>
  class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      this.on("message", (text) => seen.push(JSON.parse(String(text)).type));
    }
  };

onEveryAdapter((it) => {
  it("a connection that breaks is resumed: what was pushed while away comes once, in order", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const client = await world.online(alice, { to: proxy });
    const { connection } = client.welcome!;
    const [said, resumed, states] = [contents(client), heard(client, "resumed"), heard(client, "state")];
    await world.server.push(alice, "0");
    await until(() => expect(said).toEqual(["0"]));
    proxy.isClosed = true;
    proxy.cut();
    await until(() => expect(states.filter(({ state }) => state === "waiting").length).toBeGreaterThanOrEqual(2));
    for (const n of [1, 2, 3]) await world.server.push(alice, `${n}`);
    proxy.isClosed = false;
    await until(() => expect(said).toEqual(["0", "1", "2", "3"]));
    expect(resumed).toEqual([true]);
    expect(client.welcome).toMatchObject({ connection, resumed: true, seq: 1 });
    expect(states[0]).toMatchObject({ state: "waiting", code: 1006 });
    await world.server.push(alice, "4");
    await until(() => expect(said).toEqual(["0", "1", "2", "3", "4"]));
  });

  it("channels, feeds and watches go on after it", async ({ world }) => {
    const [room, alice, bob] = [world.name("room"), world.name("alice"), world.name("bob")];
    const proxy = await world.proxy();
    const client = await world.online(alice, { to: proxy });
    const [said, resumed, errors] = [contents(client), heard(client, "resumed"), heard(client, "error")];
    const statuses: string[] = [];
    const list = client.presence(room);
    await Promise.all([client.subscribe(room).ready, list.ready, client.watch([bob], ({ status }) => statuses.push(status)).ready]);
    proxy.cut();
    await until(() => expect(resumed).toEqual([true]));
    const friend = await world.online(bob);
    await friend.subscribe(room).ready;
    await friend.publish(room, "hello again");
    await until(() => expect(said).toEqual(["hello again"]));
    await until(() => expect(list.list().map(({ id }) => id).sort()).toEqual([alice, bob]));
    await until(() => expect(statuses.at(-1)).toBe("online"));
    expect(errors).toEqual([]);
  });

  it(`after ${CUTS} cuts nothing is lost, and nothing came twice`, async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const client = await world.online(alice, { to: proxy, backoff: { min: 1, max: 4 } });
    const [said, resumed] = [contents(client), heard(client, "resumed")];
    await world.server.push(alice, "first");
    await until(() => expect(said).toEqual(["first"]));
    const wanted = ["first"];
    for (let cut = 0; cut < CUTS; cut++) {
      const before = resumed.length;
      const pushed = world.server.push(alice, `${cut}`); // Under way, on its way, or not yet begun when the cut comes.
      if (cut % 3) await pushed;
      proxy.cut();
      await pushed;
      wanted.push(`${cut}`);
      await until(() => expect(resumed.length).toBeGreaterThan(before));
    }
    await until(() => expect(said.length).toBeGreaterThanOrEqual(wanted.length));
    expect(said).toEqual(wanted);
    expect(new Set(resumed)).toEqual(new Set([true]));
  });

  it("requests that were under way fail as temporary, and those that wait go out later", async ({ world }) => {
    const proxy = await world.proxy();
    const client = await world.online(world.name(), { to: proxy });
    proxy.silence();
    const lost = client.send("echo:lost", { reply: true }).catch((error: unknown) => error);
    proxy.isClosed = true;
    proxy.cut();
    expect(await lost).toMatchObject({ name: "HerenowError", code: "disconnected", temporary: true });
    const waiting = client.send("echo:later", { reply: true });
    Object.assign(proxy, { isClosed: false, isSilent: false });
    expect(await waiting).toBe("echo:later");
  });

  it("a connection on which nothing comes any more is given up, and resumed", async ({ world }) => {
    const alice = world.name("alice");
    // After interval and timeout the client asks once more, and waits for five seconds.
    const server = await world.start("--heartbeat-ms", "100", "--timeout-ms", "1000");
    const proxy = await world.proxy(server);
    const client = await world.online(alice, { server, to: proxy });
    const [states, resumed, said] = [heard(client, "state"), heard(client, "resumed"), contents(client)];
    await server.push(alice, "before");
    await until(() => expect(said).toEqual(["before"]));
    proxy.silence();
    await server.push(alice, "into the silence");
    proxy.isSilent = false; // For connections to come.
    await until(() => expect(said).toEqual(["before", "into the silence"]));
    expect(states[0]).toMatchObject({ state: "waiting", code: 1006, reason: "silent" });
    expect(resumed).toEqual([true]);
  });

  it("a quiet connection is none that is dead: the server's pings keep it", async ({ world }) => {
    const server = await world.start("--heartbeat-ms", "50", "--timeout-ms", "2000");
    const proxy = await world.proxy(server);
    const seen: string[] = [];
    const client = await world.online(world.name(), { server, to: proxy, WebSocket: listening(seen) });
    await until(() => expect(seen.filter((type) => type === "ping").length).toBeGreaterThanOrEqual(5));
    expect([client.state, proxy.accepted]).toEqual(["open", 1]);
  });

  it("a server that takes the connection and says nothing is given up", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    proxy.silence();
    const client = world.client(proxy, { getToken: () => world.server.login(alice), connectTimeout: 200 });
    const states = heard(client, "state");
    const opening = client.connect();
    await until(() => expect(states.filter(({ reason }) => reason === "timeout").length).toBeGreaterThanOrEqual(2));
    proxy.isSilent = false;
    expect((await opening).user).toBe(alice);
  });
});
