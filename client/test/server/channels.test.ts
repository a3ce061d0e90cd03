// Channels: what is published reaches whoever is subscribed.
import { expect } from "vitest";
import { contents, heard, onEveryAdapter, until } from "./world.js";

onEveryAdapter((it) => {
  it("what one user publishes, the others of the channel hear, and nobody else", async ({ world }) => {
    const room = world.name("room");
    const [alice, bob, carol] = [await world.online(world.name()), await world.online(world.name()), await world.online(world.name())];
    const ofRoom: unknown[] = [];
    const subscription = bob.subscribe(room, ({ data, channel }) => ofRoom.push([channel, data]));
    const others = contents(carol);
    await Promise.all([subscription.ready, alice.subscribe(room).ready]);

    expect(await alice.publish(room, "hello")).toEqual({ matched: 2 });
    expect(await alice.publish(room, { n: 1 })).toEqual({ matched: 2 });
    expect(await alice.publish(room, null)).toEqual({ matched: 2 });
    await until(() => expect(ofRoom).toEqual([[room, "hello"], [room, { n: 1 }], [room, null]]));

    subscription.unsubscribe();
    await until(async () => expect(await alice.publish(room, "is bob gone?")).toEqual({ matched: 1 }));
    const heardBefore = ofRoom.length;
    await alice.publish(room, "bob is gone");
    await bob.hereNow({ channels: [room] }); // Whatever was on its way to bob has come before this answer.
    expect(ofRoom).toHaveLength(heardBefore);
    expect(others).toEqual([]);
  });

  it("an administrator's push to a channel comes with its name", async ({ world }) => {
    const room = world.name("room");
    const alice = await world.online(world.name());
    const pushes = heard(alice, "push");
    await alice.subscribe(room).ready;
    await world.server.admin("push", { channel: room, content: "all hear this" });
    await until(() => expect(pushes).toMatchObject([{ channel: room, data: "all hear this" }]));
  });

  it("a channel that is not allowed refuses the subscription and the publish, and the connection goes on", async ({ world }) => {
    const alice = await world.online(world.name());
    const errors = heard(alice, "error");
    const secret = world.name("secret-room");
    await expect(alice.subscribe(secret).ready).rejects.toMatchObject({ code: "forbidden", temporary: false });
    await expect(alice.publish(secret, "psst")).rejects.toMatchObject({ code: "forbidden" });
    await expect(alice.presence(secret).ready).rejects.toMatchObject({ code: "forbidden" });
    await expect(alice.hereNow({ channels: [secret] })).rejects.toMatchObject({ code: "forbidden", message: expect.stringContaining(secret) });
    expect(errors.map(({ code }) => code)).toEqual(["forbidden", "forbidden"]);
    expect(await alice.send("echo:still here", { reply: true })).toBe("echo:still here");
  });

  it("subscriptions that were made before the connection hold, and on a later connection that does not resume, too", async ({ world }) => {
    const room = world.name("room");
    const user = world.name();
    const client = world.client(world.server, { getToken: () => world.server.login(user) });
    const said = contents(client);
    const { ready } = client.subscribe(room);
    await client.connect();
    await ready;
    await world.server.admin("push", { channel: room, content: "before" });
    await until(() => expect(said).toEqual(["before"]));
    // A close of one's own ends the stream: nothing is resumed.
    client.close();
    await client.connect();
    await until(async () => expect(await client.publish(room, "after")).toEqual({ matched: 1 }));
    await until(() => expect(said.at(-1)).toBe("after"));
  });
});
