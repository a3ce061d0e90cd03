// Ends that the server chooses, and whether the client comes back.
import { expect } from "vitest";
import type { Herenow } from "../../src/index.js";
import { heard, onEveryAdapter, until } from "./world.js";

/** What a client hears of its end. */
function ending(client: Herenow) {
  return { kicked: heard(client, "kicked"), goodbye: heard(client, "goodbye"), states: heard(client, "state") };
}

onEveryAdapter((it) => {
  it("a kick says why, and the client stays away", async ({ world }) => {
    const alice = world.name("alice");
    const proxy = await world.proxy();
    const client = await world.online(alice, { to: proxy });
    const { kicked, states } = ending(client);
    const report = await world.server.admin("kick", { loginId: alice, reason: "please log in again" });
    expect(report).toMatchObject({ matched: 1 });
    await until(() => expect(client.state).toBe("closed"));
    expect(kicked).toEqual([{ type: "kicked", code: 4423, reason: "kicked", message: "please log in again", reconnect: false }]);
    expect(states).toEqual([{ state: "closed", code: 4423, reason: "kicked", message: "please log in again" }]);
    await expect(client.publish("room", "too late")).rejects.toMatchObject({ code: "closed" });
    expect((await world.server.user(alice)).online).toBe(false);
    expect(proxy.accepted).toBe(1);

    expect((await client.connect()).resumed).toBe(false); // A kick is no ban.
  });

  it("a ban says so, and refuses who comes again", async ({ world }) => {
    const alice = world.name("alice");
    const client = await world.online(alice);
    const { kicked } = ending(client);
    await world.server.admin("kick", { loginId: alice, reason: "spam", banSeconds: 60 });
    await until(() => expect(client.state).toBe("closed"));
    expect(kicked).toMatchObject([{ code: 4425, reason: "banned", message: "spam", reconnect: false }]);
    await expect(client.connect()).rejects.toMatchObject({ name: "HerenowError", temporary: false });
    expect(client.state).toBe("closed");
  });

  it("a login elsewhere takes the place of this one, and the two do not fight", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--max-per-user", "1");
    const proxy = await world.proxy(server);
    const first = await world.online(alice, { server, to: proxy });
    const { kicked } = ending(first);
    const second = await world.online(alice, { server, to: proxy });
    await until(() => expect(first.state).toBe("closed"));
    expect(kicked).toMatchObject([{ code: 4409, reason: "replaced", reconnect: false }]);
    await second.send("echo:still here", { reply: true });
    expect([second.state, proxy.accepted]).toEqual(["open", 2]);
  });

  it("one login too many is refused, and stops", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--max-per-user", "1", "--on-limit", "refuse");
    await world.online(alice, { server });
    const client = world.client(server, { token: await server.login(alice) });
    const { states } = ending(client);
    await expect(client.connect()).rejects.toMatchObject({ temporary: false });
    expect(states.at(-1)).toMatchObject({ state: "closed", code: 4429 });
  });

  it("a token that is revoked ends the connection; a new one brings it back", async ({ world }) => {
    const alice = world.name("alice");
    const server = await world.start("--recheck-ms", "50");
    const tokens = [await server.login(alice), await server.login(alice)];
    const [revoked] = tokens;
    const client = await world.online(alice, { server, getToken: () => tokens.shift()! });
    const [states, again] = [heard(client, "state"), heard(client, "welcome")];
    await server.admin("revoke", { token: revoked });
    await until(() => expect(again).toMatchObject([{ user: alice }]));
    expect(states[0]).toMatchObject({ state: "waiting", code: 4401 });
    expect(tokens).toEqual([]);
  });

  it("the application's own codes say what to do: 40xx stop, 41xx and 42xx come back", async ({ world }) => {
    for (const [code, comesBack] of [[4001, false], [4101, true], [4201, true]] as const) {
      const alice = world.name("alice");
      const client = await world.online(alice);
      const [pushes, states] = [heard(client, "push"), heard(client, "state")];
      await world.server.admin("close", { loginId: alice, content: "one last word", code, reason: "moved" });
      await until(() => expect(states[0]).toMatchObject({ code, reason: "moved", state: comesBack ? "waiting" : "closed" }));
      await until(() => expect(client.state).toBe(comesBack ? "open" : "closed"));
      expect(pushes.map(({ data }) => data)).toEqual(["one last word"]);
    }
  });
});
