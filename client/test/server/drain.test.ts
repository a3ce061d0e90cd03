// A server that ends, and another one in its place.
import { expect } from "vitest";
import { contents, heard, onEveryAdapter, until } from "./world.js";

onEveryAdapter((it) => {
  it("a server that drains says when to come back, and its successor is found, with all subscriptions", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("alice")];
    const old = await world.start();
    const token = await old.login(alice);
    const client = await world.online(alice, { server: old, token });
    const [said, states, goodbye, resumed] = [contents(client), heard(client, "state"), heard(client, "goodbye"), heard(client, "resumed")];
    const list = client.presence(room);
    await Promise.all([client.subscribe(room).ready, list.ready]);
    await old.push(alice, "from the old one");
    await until(() => expect(said).toEqual(["from the old one"]));

    await old.stop();
    expect(goodbye).toMatchObject([{ code: 4302, reason: "drain", reconnect: true, reconnectInMs: expect.any(Number) }]);
    await until(() => expect(states[0]?.state).toBe("waiting"));
    expect(states[0]!.retryInMs).toBeGreaterThanOrEqual(goodbye[0]!.reconnectInMs!);
    const successor = await world.start("--listen", old.host);
    await until(() => expect(resumed).toEqual([false]));
    await until(() => expect(list.list().map(({ id }) => id)).toEqual([alice]));
    await until(async () => expect(await successor.admin("push", { channel: room, content: "from the new one" })).toMatchObject({ matched: 1 }));
    await until(() => expect(said.at(-1)).toBe("from the new one"));
  });

  it("a server that is killed is waited for", async ({ world }) => {
    const alice = world.name("alice");
    const old = await world.start();
    const client = await world.online(alice, { server: old, token: await old.login(alice) });
    const [states, resumed] = [heard(client, "state"), heard(client, "resumed")];
    await old.kill();
    await until(() => expect(states.filter(({ state }) => state === "connecting").length).toBeGreaterThanOrEqual(2));
    expect(states[0]).toMatchObject({ state: "waiting", code: 1006 });
    await world.start("--listen", old.host);
    await until(() => expect([resumed, client.state]).toEqual([[false], "open"]));
  });
});
