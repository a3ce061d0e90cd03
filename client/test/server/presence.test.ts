// Who is in a channel, and how single users are.
import { expect } from "vitest";
import type { Herenow, Presence } from "../../src/index.js";
import { heard, onEveryAdapter, until, type World } from "./world.js";

const ids = (list: Presence<any>) => list.list().map(({ id }) => id).sort();

/** Somebody who watches a channel without being in it, and what happens there. */
async function watching(client: Herenow<any>, channel: string) {
  const list = client.presence(channel);
  const told: string[] = [];
  list.onJoin(({ id }, event) => told.push(`${event?.action ?? "is there"} ${id}`));
  list.onLeave(({ id }, event) => told.push(`${event?.action ?? "is gone"} ${id}`));
  await list.ready;
  return { list, told };
}

async function inRoom(world: World, user: string, room: string, options: Parameters<World["online"]>[1] = {}) {
  const client = await world.online(user, options);
  const subscription = client.subscribe(room);
  await subscription.ready;
  return { client, subscription };
}

onEveryAdapter((it) => {
  it("the list knows who was there, who joins, who leaves, who is gone, and who is back", async ({ world }) => {
    const [room, alice, bob] = [world.name("room"), world.name("alice"), world.name("bob")];
    await inRoom(world, alice, room, { login: { data: { name: "Alice" } } });
    const { list, told } = await watching(await world.online(world.name("watcher")), room);
    expect(list.list()).toEqual([{ id: alice, data: { name: "Alice" }, status: "online" }]);
    expect([list.userAmount, list.clientAmount, list.more]).toEqual([1, 1, false]);

    const there = await inRoom(world, bob, room);
    await until(() => expect(ids(list)).toEqual([alice, bob]));
    there.subscription.unsubscribe();
    await until(() => expect(ids(list)).toEqual([alice]));
    there.client.subscribe(room);
    await until(() => expect(ids(list)).toEqual([alice, bob]));
    there.client.close();
    await until(() => expect(ids(list)).toEqual([alice]));
    await there.client.connect();
    await until(() => expect(ids(list)).toEqual([alice, bob]));
    expect(told).toEqual([`is there ${alice}`, `join ${bob}`, `leave ${bob}`, `join ${bob}`, `offline ${bob}`, `online ${bob}`]);
    expect([list.userAmount, list.clientAmount]).toEqual([2, 2]);
  });

  it("two tabs of one user are one member, and two clients", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("alice")];
    const { list, told } = await watching(await world.online(world.name("watcher")), room);
    const first = await inRoom(world, alice, room);
    await until(() => expect([list.userAmount, list.clientAmount]).toEqual([1, 1]));
    const second = await inRoom(world, alice, room);
    await until(async () => expect((await second.client.hereNow({ channels: [room] })).channels[room]).toEqual({ channel: room, clientAmount: 2, userAmount: 1 }));
    first.client.close();
    await until(async () => expect((await second.client.hereNow({ channels: [room] })).channels[room]?.clientAmount).toBe(1));
    expect(ids(list)).toEqual([alice]);
    second.client.close();
    await until(() => expect(ids(list)).toEqual([]));
    expect(told).toEqual([`join ${alice}`, `offline ${alice}`]);
  });

  it("a status is seen in the list and by those who watch, and is said again after a reconnect", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("alice")];
    const proxy = await world.proxy();
    const { client } = await inRoom(world, alice, room, { to: proxy });
    const watcher = await world.online(world.name("watcher"));
    const { list } = await watching(watcher, room);
    const statuses: string[] = [];
    await watcher.watch([alice], ({ status }) => statuses.push(status)).ready;
    const status = () => list.list()[0]?.status;

    client.status("away");
    await until(() => expect([status(), statuses]).toEqual(["away", ["online", "away"]]));
    client.status("in a call");
    await until(() => expect([status(), statuses.at(-1)]).toEqual(["in a call", "in a call"]));
    const again = heard(client, "welcome");
    proxy.cut();
    await until(() => expect(again).toHaveLength(1));
    await until(async () => expect((await world.server.user(alice)).status).toBe("in a call"));
    client.status("online");
    await until(() => expect([status(), statuses.at(-1)]).toEqual(["online", "online"]));
  });

  it("watched users: how they are now, when they come, and when they were last seen", async ({ world }) => {
    const [alice, bob] = [world.name("alice"), world.name("bob")];
    const watcher = await world.online(world.name("watcher"));
    const told: unknown[] = [];
    const watch = watcher.watch([alice, bob], ({ id, status, lastSeen }) => told.push([id, status, typeof lastSeen]));
    await watch.ready;
    expect(told.sort()).toEqual([[alice, "offline", "undefined"], [bob, "offline", "undefined"]]);
    told.length = 0;
    const client = await world.online(alice);
    await until(() => expect(told).toEqual([[alice, "online", "undefined"]]));
    client.close();
    await until(() => expect(told.slice(1)).toEqual([[alice, "offline", "number"]]));
    watch.unwatch();
    await watcher.send("echo:unwatched", { reply: true });
    await client.connect();
    const later: unknown[] = [];
    await watcher.watch([alice], ({ status }) => later.push(status)).ready;
    expect([told.length, later]).toEqual([2, ["online"]]);
  });

  it("hereNow is the same over the socket and over REST", async ({ world }) => {
    const [room, empty, alice, bob] = [world.name("room"), world.name("empty"), world.name("a lice"), world.name("b+ob")];
    await inRoom(world, alice, room, { login: { data: "18 years old" } });
    await inRoom(world, alice, room);
    const { client } = await inRoom(world, bob, room);
    const token = await world.server.login(bob);
    for (const asked of [{}, { includeUsers: true }, { includeUsers: true, distinct: true }, { includeUsers: true, limit: 1 }]) {
      const content = await client.hereNow({ channels: [room, empty], ...asked });
      expect(Object.keys(content.channels)).toEqual([room, empty]);
      expect(content.channels[room]).toMatchObject({ channel: room, clientAmount: 3, userAmount: 2 });
      const query = new URLSearchParams([["channel", room], ["channel", empty], ...Object.entries(asked).map(([name, value]) => [name, `${value}`])]);
      for (const path of ["/presence/herenow", "/herenow"]) {
        const body = await (await world.server.get(`${path}?${query}`, token)).text();
        expect(body).toBe(JSON.stringify({ code: 200, content }));
      }
    }
    const { channels } = await client.hereNow({ channels: [room], includeUsers: true, distinct: true });
    expect(channels[room]?.users).toMatchObject([{ id: alice }, { id: bob, data: "" }]);
  });

  it("a connection that breaks within the grace period is no event, and the list goes on", async ({ world }) => {
    const patient = await world.start("--grace-ms", "60000");
    const proxy = await world.proxy(patient);
    const [room, alice, bob] = [world.name("room"), world.name("alice"), world.name("bob")];
    const { list, told } = await watching(await world.online(world.name("watcher"), { server: patient, to: proxy }), room);
    await inRoom(world, alice, room, { server: patient, to: proxy });
    await until(() => expect(told).toEqual([`join ${alice}`]));
    const before = proxy.accepted;
    proxy.cut();
    await until(() => expect(proxy.accepted).toBe(before + 2));
    await inRoom(world, bob, room, { server: patient });
    await until(() => expect(ids(list)).toEqual([alice, bob]));
    expect(told.filter((line) => line.endsWith(alice))).toEqual([`join ${alice}`]);
  });

  it("a watcher who was cut off for long comes back to the right list", async ({ world }) => {
    const proxy = await world.proxy();
    const [room, alice, bob] = [world.name("room"), world.name("alice"), world.name("bob")];
    const { list, told } = await watching(await world.online(world.name("watcher"), { to: proxy }), room);
    const gone = await inRoom(world, alice, room);
    await until(() => expect(ids(list)).toEqual([alice]));
    proxy.isClosed = true;
    proxy.cut();
    gone.client.close();
    await inRoom(world, bob, room);
    await until(async () => expect((await gone.client.connect()).resumed).toBe(false));
    gone.client.close();
    proxy.isClosed = false;
    await until(() => expect(ids(list)).toEqual([bob]));
    await until(() => expect([list.userAmount, list.clientAmount]).toEqual([1, 1]));
    expect(told.filter((line) => line.endsWith(alice)).length).toBeGreaterThanOrEqual(2);
  });
});
