import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HerenowError } from "../../src/index.js";
import { client, connected, FakeSocket, later, outcome, settled, setUp, tearDown } from "./fake.js";

beforeEach(setUp);
afterEach(tearDown);

describe("requests", () => {
  it("resolve with the result of the reply that names them", async () => {
    const { client: one, socket } = await connected();
    const first = one.publish("lobby", { text: "你好" });
    const second = one.send("hi", { reply: true, channel: "lobby" });
    const [publish] = socket.of("publish");
    const [message] = socket.of("message");
    expect(publish).toEqual({ type: "publish", id: publish!.id, channel: "lobby", data: { text: "你好" } });
    expect(message).toEqual({ type: "message", id: message!.id, channel: "lobby", data: "hi" });
    expect(publish!.id).not.toBe(message!.id);
    socket.replies("message", { reached: 3 });
    socket.replies("publish", { matched: 2 });
    expect([await first, await second]).toEqual([{ matched: 2 }, { reached: 3 }]);
  });

  it("without a reply are done when they are sent, and carry no id", async () => {
    const { client: one, socket } = await connected();
    expect(await one.send(null)).toBeUndefined();
    expect(await one.send(undefined)).toBeUndefined();
    expect(socket.of("message")).toEqual([{ type: "message", data: null }, { type: "message", data: null }]);
  });

  it("reject with what the server says", async () => {
    const { client: one, socket } = await connected();
    const publishing = outcome(one.publish("lobby", 1));
    socket.refuses("publish", "too_many_requests", { temporary: true, retryAfterMs: 1500 });
    const { error } = (await publishing) as { error: HerenowError };
    expect(error).toBeInstanceOf(HerenowError);
    expect(error).toMatchObject({ name: "HerenowError", code: "too_many_requests", message: "too_many_requests!", temporary: true, retryAfterMs: 1500 });
  });

  it("reject when no answer comes in time, and an answer that is late is ignored", async () => {
    const { client: one, socket } = await connected({ requestTimeout: 2000 });
    const publishing = outcome(one.publish("lobby", 1));
    await later(2000);
    expect(await publishing).toMatchObject({ error: { code: "timeout", temporary: true } });
    socket.replies("publish", { matched: 1 });
    expect(one.state).toBe("open");
  });

  it("under way when the connection ends are rejected as temporary", async () => {
    const { client: one, socket } = await connected();
    const publishing = outcome(one.publish("lobby", 1));
    socket.ends();
    expect(await publishing).toMatchObject({ error: { code: "disconnected", temporary: true } });
    await later(500);
    expect(FakeSocket.last.welcome().of("publish")).toEqual([]);
  });

  it("that cannot be written as JSON are rejected", async () => {
    const { client: one } = await connected();
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(await outcome(one.publish("lobby", circle))).toMatchObject({ error: { name: "TypeError" } });
  });

  it("larger than the server takes are rejected here, by their bytes, and end no connection", async () => {
    const { client: one, socket } = await connected({}, { limits: { maxFrame: 200, maxChannels: 1 } });
    expect(await outcome(one.publish("lobby", "é".repeat(100)))).toMatchObject({ error: { code: "limit_exceeded", temporary: false } });
    expect(socket.of("publish")).toEqual([]);
    void one.publish("lobby", "x".repeat(100)).catch(() => {});
    expect(socket.of("publish")).toHaveLength(1);
  });
});

describe("what is sent without a connection", () => {
  it("waits for one, and goes out in order", async () => {
    const one = client();
    const sent = [one.send("a"), one.publish("lobby", "b"), one.send("c")];
    void one.connect();
    await settled();
    FakeSocket.last.welcome();
    expect(FakeSocket.last.sent.slice(1).map((frame) => (frame as { data: unknown }).data)).toEqual(["a", "b", "c"]);
    FakeSocket.last.replies("publish", { matched: 0 });
    expect(await Promise.all(sent)).toEqual([undefined, { matched: 0 }, undefined]);
  });

  it("outlives a lost attempt, and is not sent twice", async () => {
    const one = client();
    const sending = one.send("a");
    void one.connect();
    await settled();
    FakeSocket.last.open().ends();
    await later(500);
    FakeSocket.last.welcome();
    await sending;
    FakeSocket.last.ends();
    await later(1000);
    expect(FakeSocket.last.welcome().of("message")).toEqual([]);
  });

  it("is not sent any more after its time", async () => {
    const one = client({ connectTimeout: 60_000 });
    const sending = outcome(one.send("a"));
    void one.connect();
    await later(10_000);
    expect(await sending).toMatchObject({ error: { code: "timeout" } });
    expect(FakeSocket.last.welcome().of("message")).toEqual([]);
  });

  it("is bounded: the one too many is rejected", async () => {
    const one = client();
    const sent = Array.from({ length: 65 }, (_, index) => outcome(one.send(index)));
    expect(await sent[64]).toMatchObject({ error: { code: "buffer_full", temporary: true } });
    void one.connect();
    await settled();
    FakeSocket.last.welcome();
    expect(await Promise.all(sent.slice(0, 64))).toEqual(Array(64).fill({ value: undefined }));
    expect(FakeSocket.last.of("message")).toHaveLength(64);
    const small = client({ bufferSize: 1 });
    const two = [outcome(small.send(1)), outcome(small.send(2))];
    expect(await two[1]).toHaveProperty("error.code", "buffer_full");
  });

  it("is rejected where there will be no connection", async () => {
    const { client: one, socket } = await connected();
    socket.readyState = 2; // Closing: what is written now is lost.
    const sending = outcome(one.send("a"));
    one.close();
    expect(await sending).toMatchObject({ error: { code: "closed", temporary: false } });
    expect(await outcome(one.publish("lobby", 1))).toMatchObject({ error: { code: "closed" } });
  });

  it("is rejected while the network does not keep up, until it does", async () => {
    const { client: one, socket } = await connected();
    socket.bufferedAmount = (1 << 20) + 1;
    expect(await outcome(one.send("a"))).toMatchObject({ error: { code: "buffer_full", temporary: true } });
    socket.bufferedAmount = 0;
    expect(await outcome(one.send("b"))).toHaveProperty("value");
    expect(socket.of("message")).toHaveLength(1);
  });
});

describe("hereNow", () => {
  it("asks what it was asked, and gives the channels", async () => {
    const { client: one, socket } = await connected<string>();
    const asking = one.hereNow({ channels: ["lobby"], includeUsers: true, distinct: true, limit: 5 });
    const [frame] = socket.of("hereNow");
    expect(frame).toEqual({ type: "hereNow", id: frame!.id, channels: ["lobby"], includeUsers: true, distinct: true, limit: 5 });
    const channels = { lobby: { channel: "lobby", clientAmount: 1, userAmount: 1, users: [{ id: "Jack", data: "18 years old" }] } };
    socket.replies("hereNow", { code: 200, content: { channels } });
    expect((await asking).channels).toEqual(channels);
  });

  it("rejects with the server's refusal", async () => {
    const { client: one, socket } = await connected();
    const asking = outcome(one.hereNow({ channels: ["secret"] }));
    socket.refuses("hereNow", "forbidden");
    expect(await asking).toHaveProperty("error.code", "forbidden");
  });
});

describe("channels", () => {
  const push = (channel: string | undefined, data: unknown) => ({ type: "push", mid: "m", kind: "text", data, time: 0, ...(channel && { channel }) });

  it("bring their pushes to their own listeners, and to all", async () => {
    const { client: one, socket } = await connected();
    const lobby = vi.fn();
    const all = vi.fn();
    one.on("push", all);
    const subscription = one.subscribe("lobby", lobby);
    expect(socket.of("subscribe")).toMatchObject([{ channel: "lobby" }]);
    socket.replies("subscribe");
    await subscription.ready;
    for (const channel of ["lobby", "other", undefined]) socket.says(push(channel, channel));
    expect(lobby.mock.calls.map(([{ data }]) => data)).toEqual(["lobby"]);
    expect(all).toHaveBeenCalledTimes(3);
  });

  it("are one subscription however many there are, and are left with the last one", async () => {
    const { client: one, socket } = await connected();
    const [first, second] = [vi.fn(), vi.fn()];
    const a = one.subscribe("lobby", first);
    const b = one.subscribe("lobby", second);
    expect(socket.of("subscribe")).toHaveLength(1);
    a.unsubscribe();
    a.unsubscribe();
    socket.says(push("lobby", 1));
    expect([first.mock.calls.length, second.mock.calls.length, socket.of("unsubscribe").length]).toEqual([0, 1, 0]);
    b.unsubscribe();
    expect(socket.of("unsubscribe")).toMatchObject([{ channel: "lobby" }]);
    one.subscribe("lobby");
    expect(socket.of("subscribe")).toHaveLength(2);
  });

  it("are asked for on every connection, and only those that are wanted still", async () => {
    const one = client();
    one.subscribe("a");
    one.subscribe("b").unsubscribe();
    void one.connect();
    await settled();
    FakeSocket.last.welcome();
    expect(FakeSocket.last.of("subscribe")).toMatchObject([{ channel: "a" }]);
    FakeSocket.last.ends();
    one.subscribe("c");
    await later(500);
    expect(FakeSocket.last.welcome().of("subscribe")).toMatchObject([{ channel: "a" }, { channel: "c" }]);
    expect(FakeSocket.last.of("unsubscribe")).toEqual([]);
  });

  it("that are left without a connection are left in silence", async () => {
    const { client: one, socket } = await connected();
    const subscription = one.subscribe("lobby");
    socket.replies("subscribe");
    await subscription.ready;
    socket.ends();
    subscription.unsubscribe();
    await later(500);
    const next = FakeSocket.last.welcome();
    expect([next.of("subscribe"), next.of("unsubscribe")]).toEqual([[], []]);
  });

  it("that are refused after they were left are no errors", async () => {
    const { client: one, socket } = await connected();
    const errors = vi.fn();
    one.on("error", errors);
    const subscription = one.subscribe("secret");
    subscription.unsubscribe();
    socket.refuses("subscribe", "forbidden");
    socket.refuses("unsubscribe", "not_subscribed");
    await settled();
    expect(errors).not.toHaveBeenCalled();
  });

  it("count as granted when the server has them already, after a resume for one", async () => {
    const { client: one, socket } = await connected();
    const { ready } = one.subscribe("lobby");
    socket.refuses("subscribe", "already_subscribed");
    await ready;
  });

  it("that are refused for good are forgotten, told as an error, and may be asked for again", async () => {
    const { client: one, socket } = await connected();
    const errors: HerenowError[] = [];
    one.on("error", (error) => errors.push(error));
    const old = one.subscribe("secret");
    const ready = outcome(old.ready);
    socket.refuses("subscribe", "forbidden");
    expect(await ready).toHaveProperty("error.code", "forbidden");
    expect(errors.map(({ code }) => code)).toEqual(["forbidden"]);
    const heard = vi.fn();
    const again = one.subscribe("secret", heard);
    socket.replies("subscribe");
    await again.ready;
    old.unsubscribe();
    socket.says(push("secret", 1));
    expect([heard.mock.calls.length, socket.of("unsubscribe").length]).toEqual([1, 0]);
  });

  it("that are refused for a while are asked for again when the server says", async () => {
    const { client: one, socket } = await connected();
    const { ready } = one.subscribe("lobby");
    socket.refuses("subscribe", "too_many_requests", { temporary: true, retryAfterMs: 3000 });
    await later(2999);
    expect(socket.of("subscribe")).toHaveLength(1);
    await later(1);
    socket.replies("subscribe");
    await ready;
    expect(socket.of("subscribe")).toHaveLength(2);
  });

  it("are said in portions that no rate limit minds", async () => {
    const one = client();
    for (let index = 0; index < 250; index++) one.subscribe(`c${index}`);
    void one.connect();
    await settled();
    const socket = FakeSocket.last.welcome();
    const counts = [];
    for (let second = 0; second < 4; second++) {
      counts.push(socket.of("subscribe").length);
      for (const { id } of socket.of("subscribe")) socket.says({ type: "reply", id, result: {} });
      await later(1000);
    }
    expect(counts).toEqual([64, 128, 192, 250]);
    expect(new Set(socket.of("subscribe").map(({ channel }) => channel)).size).toBe(250);
  });

  it("may have any name", async () => {
    const { client: one, socket } = await connected();
    const heard = vi.fn();
    for (const name of ["__proto__", "constructor", ""]) one.subscribe(name, heard);
    expect(socket.of("subscribe").map(({ channel }) => channel)).toEqual(["__proto__", "constructor", ""]);
    socket.saysText('{"type":"push","mid":"m","kind":"text","channel":"__proto__","data":1,"time":0}');
    expect(heard).toHaveBeenCalledTimes(1);
  });
});

describe("watched users", () => {
  const event = (id: string, status: string) => ({ type: "presence", events: [{ action: "update", cause: "status", user: { id, data: "" }, status, time: 5 }] });

  it("tell how they are, and what becomes of them", async () => {
    const { client: one, socket } = await connected();
    const heard = vi.fn();
    const watching = one.watch(["bob", "carol", "bob"], heard);
    expect(socket.of("watch")).toMatchObject([{ users: ["bob", "carol"] }]);
    socket.replies("watch", { users: [{ id: "bob", status: "online" }, { id: "carol", status: "offline", lastSeen: 7 }] });
    await watching.ready;
    socket.says(event("bob", "away"));
    socket.says(event("dave", "away"));
    expect(heard.mock.calls).toEqual([
      [{ id: "bob", status: "online" }],
      [{ id: "carol", status: "offline", lastSeen: 7 }],
      [{ id: "bob", data: "", action: "update", cause: "status", status: "away", time: 5 }],
    ]);
  });

  it("are told in the order of the frames, where several come in one go", async () => {
    const { client: one, socket } = await connected();
    const statuses: string[] = [];
    one.watch(["bob"], ({ status }) => statuses.push(status));
    socket.replies("watch", { users: [{ id: "bob", status: "offline" }] });
    socket.says({ type: "presence", events: [{ action: "online", cause: "connect", user: { id: "bob", data: "" }, status: "online", time: 1 }] });
    await settled();
    expect(statuses).toEqual(["offline", "online"]);
  });

  it("are watched anew on every connection, and no more after unwatch()", async () => {
    const { client: one, socket } = await connected();
    const heard = vi.fn();
    const watching = one.watch(["bob"], heard);
    socket.ends();
    await later(500);
    const next = FakeSocket.last.welcome();
    expect(next.of("watch")).toMatchObject([{ users: ["bob"] }]);
    watching.unwatch();
    watching.unwatch();
    expect(next.of("unwatch")).toMatchObject([{ users: ["bob"] }]);
    next.says(event("bob", "away"));
    expect(heard).not.toHaveBeenCalled();
  });

  it("stay watched while somebody else watches them", async () => {
    const { client: one, socket } = await connected();
    const [first, second] = [vi.fn(), vi.fn()];
    const a = one.watch(["bob", "carol"], first);
    const b = one.watch(["bob"], second);
    a.unwatch();
    expect(socket.of("unwatch")).toMatchObject([{ users: ["carol"] }]);
    socket.says(event("bob", "away"));
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([0, 1]);
    const c = one.watch(["bob"], first);
    c.unwatch();
    expect(socket.of("unwatch")).toHaveLength(1);
    b.unwatch();
    expect(socket.of("unwatch").at(-1)).toMatchObject({ users: ["bob"] });
  });

  it("that are refused say so", async () => {
    const { client: one, socket } = await connected();
    const { ready } = one.watch(["bob"], () => {});
    socket.refuses("watch", "forbidden");
    expect(await outcome(ready)).toHaveProperty("error.code", "forbidden");
  });
});
