import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GoEasy, type GoEasyOptions } from "../../src/goeasy.js";
import { FakeSocket, later, settled, setUp, tearDown } from "./fake.js";

let made: GoEasy[] = [];

beforeEach(setUp);
afterEach(() => {
  for (const one of made) one.disconnect();
  made = [];
  tearDown();
});

async function goEasyOf(options: Partial<GoEasyOptions> = {}) {
  const goEasy = new GoEasy({ url: "ws://127.0.0.1/ws", WebSocket: FakeSocket, ...options });
  made.push(goEasy);
  await settled();
  return { goEasy, socket: FakeSocket.last.welcome() };
}

const event = (action: string, id: string, data: unknown = "") => ({ action, cause: "subscribe", user: { id, data }, status: "online", time: 1_767_225_600_123 });
const state = (ver: number, ...ids: string[]) => ({ type: "presenceState", channel: "my_channel", ver, clientAmount: ids.length, userAmount: ids.length, users: ids.map((id) => ({ id, data: "", status: "online" })), more: false });
const diff = (ver: number, ...events: object[]) => ({ type: "presence", channel: "my_channel", ver, clientAmount: 3, userAmount: 2, events });

describe("GoEasy's constructor", () => {
  it("takes GoEasy's own settings, says userData, and connects", async () => {
    const { goEasy, socket } = await goEasyOf({ host: "hangzhou.goeasy.io", appkey: "my_appkey", userId: "user-001", userData: "18 years old", token: "t" });
    expect(socket.of("hello")).toEqual([{ type: "hello", data: "18 years old" }]);
    expect(goEasy.client.state).toBe("open");
    expect(goEasy.pubsub).toBe(goEasy);
  });

  it("says what is missing", () => {
    expect(() => new GoEasy({ host: "hangzhou.goeasy.io", appkey: "my_appkey" } as never)).toThrow(/url/);
  });
});

describe("the seed's own lines", () => {
  it("run as they are", async () => {
    const { goEasy, socket } = await goEasyOf();
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const alert = vi.fn();

    goEasy.subscribePresence({
      channel: "my_channel",
      onPresence: function(presenceEvents){
        console.log("Presence events: ", JSON.stringify(presenceEvents));
      }
    });
    socket.replies("subscribePresence");
    socket.says(state(1, "Jack"));
    await settled();
    socket.says(diff(2, event("join", "Ted", "12 years old")));
    expect(log.mock.calls).toEqual([
      ["Presence events: ", JSON.stringify([{ action: "join", channel: "my_channel", userId: "Ted", userData: "12 years old", timestamp: 1_767_225_600_123 }])],
    ]);

    goEasy.unsubscribePresence({
      channel: "my_channel"
    });
    expect(socket.of("unsubscribePresence")).toMatchObject([{ channel: "my_channel" }]);

    goEasy.hereNow({
      channels: ["my_channel", "my_channel2"],
      includeUsers: true,
      distinct: true
    },function(response) {
      alert("hereNow response: " + response);
    });
    expect(socket.of("hereNow")).toMatchObject([{ channels: ["my_channel", "my_channel2"], includeUsers: true, distinct: true }]);
    const body = '{"code":200,"content":{"channels":{"my_channel":{"channel":"my_channel","clientAmount":2,"userAmount":2,"users":[{"id":"Jack","data":"18 years old"},{"id":"Ted","data":""}]}}}}';
    socket.replies("hereNow", JSON.parse(body));
    await settled();
    expect(alert).toHaveBeenCalledExactlyOnceWith("hereNow response: " + body);
  });
});

describe("presence", () => {
  it("tells the four actions in order, one list for each frame, and no updates", async () => {
    const { goEasy, socket } = await goEasyOf();
    const heard = vi.fn();
    const succeeded = vi.fn();
    goEasy.subscribePresence({ channel: "my_channel", onPresence: heard, onSuccess: succeeded });
    socket.says(state(1, "Jack"));
    await settled();
    expect(succeeded).toHaveBeenCalledTimes(1);
    socket.says(diff(2, event("join", "Ted"), event("offline", "Jack"), event("online", "Jack"), event("leave", "Ted"), event("update", "Jack")));
    socket.says(diff(3, event("update", "Jack")));
    expect(heard.mock.calls.map(([events]) => events.map(({ action, userId }: any) => `${userId} ${action}`))).toEqual([["Ted join", "Jack offline", "Jack online", "Ted leave"]]);
    expect(heard.mock.calls[0]![1]).toEqual({ channel: "my_channel", clientAmount: 3, userAmount: 2 });
  });

  it("tells after a reconnect who came and who went meanwhile", async () => {
    const { goEasy, socket } = await goEasyOf({ random: () => 1 });
    const heard = vi.fn();
    goEasy.subscribePresence({ channel: "my_channel", onPresence: heard });
    socket.says(state(1, "Jack", "Ted"));
    await settled();
    socket.ends();
    await later(500);
    FakeSocket.last.welcome().says(state(9, "Jack", "Tom"));
    expect(heard.mock.calls.map(([events]) => events.map(({ action, userId }: any) => `${userId} ${action}`))).toEqual([["Ted offline", "Tom online"]]);
  });

  it("of a second call takes the place of the first, without leaving in between", async () => {
    const { goEasy, socket } = await goEasyOf();
    const [first, second] = [vi.fn(), vi.fn()];
    goEasy.subscribePresence({ channel: "my_channel", onPresence: first });
    socket.says(state(1));
    goEasy.subscribePresence({ channel: "my_channel", onPresence: second });
    await settled();
    socket.says(diff(2, event("join", "Ted")));
    expect([first.mock.calls.length, second.mock.calls.length, socket.of("unsubscribePresence").length]).toEqual([0, 1, 0]);
    goEasy.unsubscribePresence({ channel: "my_channel" });
    expect(socket.of("unsubscribePresence")).toHaveLength(1);
  });

  it("that is refused tells the status", async () => {
    const { goEasy, socket } = await goEasyOf();
    const failed = vi.fn();
    goEasy.subscribePresence({ channel: "secret", onPresence: () => {}, onFailed: failed });
    socket.refuses("subscribePresence", "forbidden");
    await settled();
    expect(failed).toHaveBeenCalledExactlyOnceWith({ code: 403, content: "forbidden!" });
  });
});

describe("hereNow", () => {
  it.each([["forbidden", 403, false], ["token_expired", 401, false], ["too_many_requests", 429, true], ["limit_exceeded", 400, false], ["internal", 500, true]] as const)(
    "that fails with %s answers %i",
    async (code, status, temporary) => {
      const { goEasy, socket } = await goEasyOf();
      const heard = vi.fn();
      goEasy.hereNow({ channels: ["a"] }, heard);
      socket.refuses("hereNow", code, { temporary });
      await settled();
      expect(heard).toHaveBeenCalledExactlyOnceWith({ code: status, content: `${code}!` });
    },
  );
});

describe("channels", () => {
  it("bring messages, and are left", async () => {
    const { goEasy, socket } = await goEasyOf();
    const [heard, succeeded] = [vi.fn(), vi.fn()];
    goEasy.pubsub.subscribe({ channel: "my_channel", onMessage: heard, onSuccess: succeeded });
    socket.replies("subscribe");
    await settled();
    socket.says({ type: "push", mid: "m", kind: "text", channel: "my_channel", data: "Hello", time: 5 });
    expect([heard.mock.calls, succeeded.mock.calls.length]).toEqual([[[{ channel: "my_channel", content: "Hello", timestamp: 5 }]], 1]);
    goEasy.unsubscribe({ channel: "my_channel" });
    expect(socket.of("unsubscribe")).toMatchObject([{ channel: "my_channel" }]);
  });

  it("take messages", async () => {
    const { goEasy, socket } = await goEasyOf();
    const [succeeded, failed] = [vi.fn(), vi.fn()];
    goEasy.publish({ channel: "my_channel", message: "Hello", onSuccess: succeeded, onFailed: failed });
    expect(socket.of("publish")).toMatchObject([{ channel: "my_channel", data: "Hello" }]);
    socket.replies("publish", { matched: 1 });
    await settled();
    goEasy.disconnect();
    goEasy.publish({ channel: "my_channel", message: "late", onFailed: failed });
    await settled();
    expect([succeeded.mock.calls.length, failed.mock.calls]).toEqual([1, [[{ code: 400, content: "the client is closed" }]]]);
  });
});
