// A token's time is over: refreshed in time, and not.
import { expect } from "vitest";
import { contents, heard, onEveryAdapter, until } from "./world.js";

onEveryAdapter((it) => {
  it("a token is refreshed over the connection, which lives on", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--expiry-grace-ms", "0");
    let fetched = 0;
    const ends = Date.now() + 1_000;
    const client = await world.online(alice, { server, getToken: () => server.login(alice, { ttlSeconds: fetched++ ? 3600 : 1 }) });
    const [states, said] = [heard(client, "state"), contents(client)];
    await until(() => expect(fetched).toBe(2));
    await until(() => expect(Date.now()).toBeGreaterThan(ends + 100));
    await server.push(alice, "after the first token's end");
    await until(() => expect(said).toEqual(["after the first token's end"]));
    expect([states, fetched]).toEqual([[], 2]);
  });

  it("a token that ran out brings the client back with a new one, and with what it missed", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--expiry-grace-ms", "0");
    let fetched = 0;
    const getToken = async () => {
      if (++fetched === 2) throw new Error("the login server is busy");
      if (fetched === 3) await server.push(alice, "while away");
      return server.login(alice, { ttlSeconds: fetched === 1 ? 2 : 3600 });
    };
    const client = world.client(server, { getToken });
    const [states, goodbye, errors, resumed, said] = [heard(client, "state"), heard(client, "goodbye"), heard(client, "error"), heard(client, "resumed"), contents(client)];
    await client.connect();
    await server.push(alice, "before"); // The stream of pushes begins with the first.
    await until(() => expect(resumed).toEqual([true]));
    expect(goodbye).toMatchObject([{ code: 4301, reason: "token_expired" }]);
    expect(states.map(({ state }) => state)).toEqual(["connecting", "open", "waiting", "connecting", "open"]);
    expect(errors).toMatchObject([{ code: "token_failed", temporary: true }]);
    await until(() => expect(said).toEqual(["before", "while away"]));
    expect(fetched).toBe(3);
  });

  it("a token that ran out and cannot be fetched anew is the end", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--expiry-grace-ms", "0");
    const client = world.client(server, { token: await server.login(alice, { ttlSeconds: 2 }) });
    const states = heard(client, "state");
    await client.connect();
    await until(() => expect(client.state).toBe("closed"));
    expect(states.at(-1)).toMatchObject({ code: 4301, reason: "token_expired" });
  });
});
