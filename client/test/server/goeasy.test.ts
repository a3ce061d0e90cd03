// The lines of GoEasy's article (seed 4 of this project), as they are: only the constructor is another.
import { WebSocket } from "ws";
import { expect, vi } from "vitest";
import { GoEasy as Client, type GoEasyFailure, type GoEasyMessage } from "../../src/goeasy.js";
import type { HereNowBody } from "../../src/index.js";
import { onEveryAdapter, until, type World } from "./world.js";

/** What the article's page has around it: the class, a console and `alert`; channels of this test's own. */
function page(world: World, user: string, userData: string) {
  const room = world.name("my_channel");
  const lines: string[][] = [];
  const console = { log: (...line: string[]) => lines.push(line) };
  const alert = vi.fn();
  const token = world.server.login(user);
  const GoEasy = class extends Client {
    constructor() {
      super({ url: world.server.ws, getToken: () => token, userData, WebSocket });
    }
  };
  const goEasy = new GoEasy();
  world.later(() => goEasy.disconnect());
  return { room, lines, console, alert, goEasy };
}

onEveryAdapter((it) => {
  it("subscribePresence logs who joins, leaves, is gone and is back; unsubscribePresence ends it", async ({ world }) => {
    const [jack, ted] = [world.name("Jack"), world.name("Ted")];
    const { room, lines, console, goEasy } = page(world, jack, "18 years old");
    const other = page(world, ted, "12 years old").goEasy;
    const ready = vi.fn();

    goEasy.subscribePresence({
        channel: room,
        onPresence: function(presenceEvents){
            console.log("Presence events: ", JSON.stringify(presenceEvents));
        },
        onSuccess: ready,
    });
    await until(() => expect(ready).toHaveBeenCalled());
    const events = () => lines.flatMap(([, json]) => JSON.parse(json!));
    other.subscribe({ channel: room });
    await until(() => expect(events()).toMatchObject([{ action: "join", channel: room, userId: ted, userData: "12 years old", timestamp: expect.any(Number) }]));
    other.unsubscribe({ channel: room });
    await until(() => expect(events()[1]).toMatchObject({ action: "leave", userId: ted }));
    other.subscribe({ channel: room });
    await until(() => expect(events()[2]).toMatchObject({ action: "join" }));
    other.disconnect();
    await until(() => expect(events()[3]).toMatchObject({ action: "offline", userId: ted }));
    await other.client.connect();
    await until(() => expect(events()[4]).toMatchObject({ action: "online", userId: ted, userData: "12 years old" }));

    goEasy.unsubscribePresence({
        channel: room
    });
    other.unsubscribe({ channel: room });
    await until(async () => expect((await goEasy.client.hereNow({ channels: [room] })).channels[room]?.userAmount).toBe(0));
    expect(events()).toHaveLength(5);
  });

  it("hereNow answers with the response of the article, to the letter, and as REST does", async ({ world }) => {
    const [jack, ted] = [world.name("Jack"), world.name("Ted")];
    const { room, alert, goEasy } = page(world, jack, "18 years old");
    const other = page(world, ted, "").goEasy;
    const ready = vi.fn();
    goEasy.subscribe({ channel: room, onSuccess: ready });
    other.subscribe({ channel: room, onSuccess: ready });
    await until(() => expect(ready).toHaveBeenCalledTimes(2));

    goEasy.hereNow({
        channels: [room, "my_channel2"],
        includeUsers: true,
        distinct: true
    },function(response) {
        alert(response);
    });
    await until(() => expect(alert).toHaveBeenCalled());
    const response: HereNowBody | GoEasyFailure = alert.mock.calls[0]![0];
    expect(JSON.stringify(response)).toBe(JSON.stringify({
      code: 200,
      content: {
        channels: {
          [room]: { channel: room, clientAmount: 2, userAmount: 2, users: [{ id: jack, data: "18 years old" }, { id: ted, data: "" }] },
          my_channel2: { channel: "my_channel2", clientAmount: 0, userAmount: 0, users: [] },
        },
      },
    }));
    const path = `/herenow?appkey=my_appkey&channel=${room}&channel=my_channel2&includeUsers=true&distinct=true`;
    expect(await (await world.server.get(path, await world.server.login(ted))).text()).toBe(JSON.stringify(response));

    goEasy.hereNow({ channels: ["secret-room"] }, alert);
    await until(() => expect(alert).toHaveBeenLastCalledWith({ code: 403, content: expect.stringContaining("secret-room") }));
  });

  it("publish reaches who subscribed, and a refusal is told", async ({ world }) => {
    const { room, goEasy } = page(world, world.name("Jack"), "");
    const messages: GoEasyMessage[] = [];
    const [onSuccess, onFailed] = [vi.fn(), vi.fn()];
    goEasy.pubsub.subscribe({ channel: room, onMessage: (message) => messages.push(message), onSuccess });
    await until(() => expect(onSuccess).toHaveBeenCalled());
    goEasy.pubsub.publish({ channel: room, message: "hello", onSuccess, onFailed });
    await until(() => expect(messages).toMatchObject([{ channel: room, content: "hello", timestamp: expect.any(Number) }]));
    goEasy.publish({ channel: "secret-room", message: "psst", onFailed });
    await until(() => expect(onFailed).toHaveBeenCalledWith({ code: 403, content: expect.any(String) }));
    expect(onSuccess).toHaveBeenCalledTimes(2);
  });
});
