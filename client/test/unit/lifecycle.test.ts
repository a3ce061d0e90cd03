import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HerenowError, UnauthorizedError, type StateChange } from "../../src/index.js";
import { client, connected, FakeSocket, later, outcome, settled, setUp, tearDown, welcome } from "./fake.js";

beforeEach(setUp);
afterEach(tearDown);

const states = (one: { on: any }) => {
  const all: StateChange[] = [];
  one.on("state", (change: StateChange) => all.push(change));
  return all;
};

describe("connecting", () => {
  it("offers the protocol and the token, says hello, and is open with the welcome", async () => {
    const one = client({ token: "s3cret", device: "web", data: { name: "Alice" }, client: "chat/1.0" });
    const seen = states(one);
    const opening = one.connect();
    expect(one.state).toBe("connecting");
    await settled();
    expect(FakeSocket.last.protocols).toEqual(["herenow.v1.json", "base64url.bearer.herenow.czNjcmV0"]);
    FakeSocket.last.open();
    expect(FakeSocket.last.sent).toEqual([{ type: "hello", device: "web", data: { name: "Alice" }, client: "chat/1.0" }]);
    FakeSocket.last.says(welcome());
    expect(await opening).toEqual(welcome());
    expect([one.state, one.welcome?.user]).toEqual(["open", "alice"]);
    expect(seen.map(({ state }) => state)).toEqual(["connecting", "open"]);
  });

  it("sends a long token in the first message", async () => {
    const token = "x".repeat(2000);
    const one = client({ getToken: async () => token });
    void one.connect();
    await settled();
    expect(FakeSocket.last.protocols).toEqual(["herenow.v1.json"]);
    expect(FakeSocket.last.open().sent).toEqual([{ type: "hello", token }]);
  });

  it("is one connection however often it is asked for", async () => {
    const one = client();
    const first = one.connect();
    const second = one.connect();
    await settled();
    FakeSocket.last.welcome();
    expect(await first).toBe(await second);
    expect(await one.connect()).toBe(await first);
    expect(FakeSocket.made).toHaveLength(1);
  });

  it("begins by itself where it is told so, and listeners added at once hear it", async () => {
    const seen = states(client({ autoConnect: true }));
    expect(FakeSocket.made).toHaveLength(0);
    await settled();
    expect(seen).toEqual([{ state: "connecting" }]);
  });

  it("gives up an attempt that takes too long, whatever it waits for", async () => {
    const one = client({ connectTimeout: 5000 });
    const seen = states(one);
    void one.connect();
    await later(5000);
    expect(FakeSocket.last.closedWith).toBe(4100);
    expect(seen.at(-1)).toMatchObject({ state: "waiting", reason: "timeout", retryInMs: 500 });
    await later(500);
    FakeSocket.last.open();
    await later(5000);
    expect(seen.at(-1)).toMatchObject({ state: "waiting", retryInMs: 1000 });
  });

  it("gives up a token that never comes, and does not hear it later", async () => {
    let resolve!: (token: string) => void;
    const one = client({ getToken: () => new Promise<string>((done) => { resolve = done; }) });
    void one.connect();
    await later(15_000);
    expect(one.state).toBe("waiting");
    resolve("late");
    await settled();
    expect(FakeSocket.made).toHaveLength(0);
  });

  it("says so where there is no WebSocket", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const one = client({ WebSocket: undefined });
    expect(await outcome(one.connect())).toMatchObject({ error: { code: "no_socket" } });
    expect(one.state).toBe("closed");
  });

  it("ignores what an older socket still says", async () => {
    const { client: one, socket } = await connected();
    const pushes = vi.fn();
    one.on("push", pushes);
    socket.ends();
    await later(500);
    FakeSocket.last.welcome();
    const made = FakeSocket.made.length;
    socket.says({ type: "push", mid: "m", kind: "text", data: "late", time: 0 });
    socket.ends(4423);
    expect(pushes).not.toHaveBeenCalled();
    expect([one.state, FakeSocket.made.length]).toEqual(["open", made]);
  });
});

describe("coming back", () => {
  it("waits longer and longer, with full jitter", async () => {
    const one = client({ random: () => 0.5 });
    const seen = states(one);
    void one.connect();
    for (let times = 0; times < 3; times++) {
      await later(seen.at(-1)!.retryInMs ?? 0);
      FakeSocket.last.ends();
    }
    expect(seen.filter(({ state }) => state === "waiting").map(({ retryInMs }) => retryInMs)).toEqual([300, 550, 1050]);
  });

  it("begins its waits anew only after a connection that lived a while", async () => {
    const { client: one, socket } = await connected();
    const seen = states(one);
    const waits = () => seen.filter(({ state }) => state === "waiting").map(({ retryInMs }) => retryInMs);
    socket.ends();
    await later(500);
    FakeSocket.last.welcome();
    await later(19_000);
    FakeSocket.last.ends();
    await later(1000);
    FakeSocket.last.welcome();
    await later(20_001);
    FakeSocket.last.ends();
    expect(waits()).toEqual([500, 1000, 500]);
  });

  it.each([
    ["stop", 4409, 4000, 1000, 1008],
    ["backOff", 4508, 4100, 1006, 1001, 1012, 3999],
    ["atOnce", 4302, 4200],
  ] as [string, ...number[]][])("does as the close code says: %s", async (advice, ...codes) => {
    for (const code of codes) {
      const { client: one, socket } = await connected();
      const seen = states(one);
      socket.ends(code, "slug");
      const expected = { stop: { state: "closed" }, backOff: { state: "waiting", retryInMs: 500 }, atOnce: { state: "waiting", retryInMs: 0 } }[advice];
      expect(seen.at(-1), `${code}`).toMatchObject({ ...expected, code, reason: "slug" });
      one.close();
    }
  });

  it("does as `reconnect` says, whatever the code", async () => {
    const kicked = await connected();
    const seen = states(kicked.client);
    const heard = vi.fn();
    kicked.client.on("kicked", heard);
    const frame = { type: "kicked" as const, code: 4423, reason: "kicked", message: "by the admin", reconnect: false };
    kicked.socket.says(frame);
    kicked.socket.ends(1006);
    expect(heard).toHaveBeenCalledExactlyOnceWith(frame);
    expect(seen.at(-1)).toEqual({ state: "closed", code: 4423, reason: "kicked", message: "by the admin" });

    const back = await connected();
    back.socket.says({ type: "kicked", code: 4423, reason: "kicked", message: "", reconnect: true });
    back.socket.ends(4423);
    expect(back.client.state).toBe("waiting");

    const gone = await connected();
    gone.socket.says({ type: "goodbye", code: 4508, reason: "slow_consumer", reconnect: false });
    gone.socket.ends(4508);
    expect(gone.client.state).toBe("closed");
  });

  it("comes back when the server asked it to, and no sooner than its own patience on repetition", async () => {
    const { client: one, socket } = await connected();
    const seen = states(one);
    const drain = { type: "goodbye" as const, code: 4302, reason: "drain", reconnect: true, reconnectInMs: 2500 };
    socket.says(drain);
    socket.ends(4302);
    expect(seen.at(-1)).toMatchObject({ state: "waiting", retryInMs: 2500, code: 4302 });
    for (let times = 0; times < 4; times++) {
      await later(seen.at(-1)!.retryInMs!);
      FakeSocket.last.welcome().says({ ...drain, reconnectInMs: 0 });
      FakeSocket.last.ends(4302);
    }
    expect(seen.at(-1)).toMatchObject({ retryInMs: 8000 });
  });

  it("does not come back after close(), and can be connected again", async () => {
    const { client: one, socket } = await connected();
    one.close();
    expect([one.state, one.welcome, socket.closedWith]).toEqual(["closed", undefined, 1000]);
    await later(120_000);
    expect(FakeSocket.made).toHaveLength(1);
    const opening = one.connect();
    await settled();
    FakeSocket.last.welcome({ connection: "c_2" });
    expect([(await opening).connection, one.state]).toEqual(["c_2", "open"]);
  });

  it("begins its waits anew after close()", async () => {
    const one = client();
    const seen = states(one);
    for (let times = 0; times < 2; times++) {
      void one.connect();
      for (const wait of [0, 500, 1000]) {
        await later(wait);
        FakeSocket.last.ends();
      }
      expect(seen.at(-1)?.retryInMs).toBe(2000);
      one.close();
    }
  });

  it("comes back at once when connect() is called meanwhile, which waits for the new welcome", async () => {
    const { client: one, socket } = await connected();
    socket.ends();
    const opening = one.connect();
    expect(one.state).toBe("connecting");
    await settled();
    FakeSocket.last.welcome({ connection: "c_2" });
    expect((await opening).connection).toBe("c_2");
  });

  it("tells connect() why there will be no connection", async () => {
    const closed = client();
    const opening = outcome(closed.connect());
    closed.close();
    expect(await opening).toMatchObject({ error: { code: "closed" } });

    const refused = client();
    const seen = states(refused);
    const refusal = outcome(refused.connect());
    await settled();
    FakeSocket.last.open().says({ type: "error", code: "too_many_devices", message: "log out elsewhere" });
    FakeSocket.last.ends(4429, "too_many_devices");
    const { error } = (await refusal) as { error: HerenowError };
    expect(error).toBeInstanceOf(HerenowError);
    expect(error).toMatchObject({ code: "too_many_devices", message: "log out elsewhere", temporary: false });
    expect(seen.at(-1)).toEqual({ state: "closed", code: 4429, reason: "too_many_devices", message: "log out elsewhere" });
  });

  it("is stopped by a listener in the middle of it", async () => {
    const { client: one, socket } = await connected();
    one.on("state", ({ state }) => state === "waiting" && one.close());
    socket.ends();
    await later(60_000);
    expect([one.state, FakeSocket.made.length]).toEqual(["closed", 1]);
  });
});

describe("tokens", () => {
  it("4301 fetches a token and comes back at once", async () => {
    let count = 0;
    const { client: one, socket } = await connected({ getToken: () => `t${++count}` });
    socket.ends(4301, "token_expired");
    await settled();
    expect([count, FakeSocket.made.length]).toEqual([2, 2]);
    FakeSocket.last.welcome();
    expect(one.state).toBe("open");
  });

  it.each([4401, 4403])("%i fetches a token once, then stops", async (code) => {
    let count = 0;
    const one = client({ getToken: () => `t${++count}` });
    const opening = outcome(one.connect());
    await settled();
    FakeSocket.last.open().ends(code);
    await settled();
    expect(count).toBe(2);
    FakeSocket.last.open().ends(code);
    await later(60_000);
    expect([count, one.state, FakeSocket.made.length]).toEqual([2, "closed", 2]);
    expect(await opening).toHaveProperty("error");
  });

  it("a welcome in between allows another one", async () => {
    let count = 0;
    const { client: one, socket } = await connected({ getToken: () => `t${++count}` });
    socket.ends(4401);
    await settled();
    FakeSocket.last.welcome();
    await later(30_000);
    FakeSocket.last.ends(4401);
    await settled();
    expect([count, one.state]).toEqual([3, "connecting"]);
  });

  it("stops where nobody can fetch one", async () => {
    for (const code of [4301, 4401]) {
      const { client: one, socket } = await connected({ token: "fixed" });
      socket.ends(code);
      expect(one.state, `${code}`).toBe("closed");
    }
  });

  it("stops for good when the user has to log in again", async () => {
    const one = client({ getToken: () => { throw new UnauthorizedError("log in"); } });
    const seen = states(one);
    expect(await outcome(one.connect())).toMatchObject({ error: { code: "unauthorized" } });
    await later(60_000);
    expect(seen.at(-1)).toMatchObject({ state: "closed", reason: "unauthorized" });
    expect(FakeSocket.made).toHaveLength(0);
  });

  it("tries again after any other failure, and says what it was", async () => {
    let count = 0;
    const one = client({ getToken: async () => { if (++count === 1) throw new Error("no network"); return "t"; } });
    const errors: HerenowError[] = [];
    one.on("error", (error) => errors.push(error));
    void one.connect();
    await settled();
    expect(errors).toMatchObject([{ code: "token_failed", temporary: true, message: "Error: no network" }]);
    expect(one.state).toBe("waiting");
    await later(500);
    FakeSocket.last.welcome();
    expect(one.state).toBe("open");
  });

  it("a token whose time is over is not tried again", async () => {
    let count = 0;
    const { socket } = await connected({ getToken: () => `t${++count}` }, { expiresIn: 60_000 });
    await later(61_000);
    socket.ends();
    await later(500);
    expect(count).toBe(2);
  });

  it("is refreshed in-band before its time is over", async () => {
    let count = 0;
    const { client: one, socket } = await connected({ getToken: async () => `t${++count}` }, { expiresIn: 60_000 });
    socket.says({ type: "authExpiring", expiresIn: 60_000 });
    await settled();
    expect(socket.of("auth")).toEqual([{ type: "auth", token: "t2", id: expect.any(Number) }]);
    socket.replies("auth", { expiresIn: 3_600_000 });
    for (let times = 0; times < 4; times++) {
      await later(30_000);
      socket.says({ type: "ping" });
    }
    socket.ends();
    await later(500);
    expect([count, one.state]).toEqual([2, "connecting"]);
  });

  it("an in-band refresh that fails is an error event; the user who has to log in again is the end", async () => {
    let failure: Error = new Error("no network");
    const { client: one, socket } = await connected({ token: "t", getToken: () => { throw failure; } });
    const errors: HerenowError[] = [];
    one.on("error", (error) => errors.push(error));
    socket.says({ type: "authExpiring", expiresIn: 60_000 });
    await settled();
    expect(errors.map(({ code }) => code)).toEqual(["token_failed"]);
    expect(one.state).toBe("open");
    failure = new UnauthorizedError();
    socket.says({ type: "authExpiring", expiresIn: 30_000 });
    await settled();
    expect(one.state).toBe("closed");
  });

  it("a refresh that comes too late for its connection does nothing", async () => {
    const pending: { resolve(token: string): void; reject(error: Error): void }[] = [];
    const { client: one, socket } = await connected({ token: "t", getToken: () => new Promise<string>((resolve, reject) => { pending.push({ resolve, reject }); }) });
    const errors = vi.fn();
    one.on("error", errors);
    for (const late of [() => pending[0]!.resolve("late"), () => pending[0]!.reject(new UnauthorizedError())]) {
      pending.length = 0;
      FakeSocket.last.says({ type: "authExpiring", expiresIn: 60_000 });
      FakeSocket.last.ends();
      await later(20_000 - 15_000);
      pending.at(-1)!.resolve("fresh");
      await settled();
      FakeSocket.last.welcome();
      late();
      await settled();
      expect([FakeSocket.last.of("auth"), one.state, errors.mock.calls]).toEqual([[], "open", []]);
    }
    expect(socket.of("auth")).toEqual([]);
  });

  it("a refused refresh is an error event, and the next connection fetches another", async () => {
    let count = 0;
    const { client: one, socket } = await connected({ getToken: () => `t${++count}` });
    const errors: HerenowError[] = [];
    one.on("error", (error) => errors.push(error));
    socket.says({ type: "authExpiring", expiresIn: 60_000 });
    await settled();
    socket.refuses("auth", "unauthorized");
    await settled();
    expect(errors.map(({ code }) => code)).toEqual(["unauthorized"]);
    socket.ends(4401);
    await settled();
    expect([count, one.state]).toEqual([3, "connecting"]);
  });
});

describe("the watchdog", () => {
  it("asks a silent server once, then gives it up", async () => {
    const { client: one, socket } = await connected();
    await later(39_999);
    expect(socket.of("ping")).toEqual([]);
    await later(1);
    expect(socket.of("ping")).toEqual([{ type: "ping" }]);
    await later(4999);
    expect(one.state).toBe("open");
    await later(1);
    expect([one.state, socket.closedWith]).toEqual(["waiting", 4100]);
  });

  it("takes any word as a sign of life, and answers a ping", async () => {
    const { client: one, socket } = await connected();
    for (let times = 0; times < 5; times++) {
      await later(39_000);
      socket.says({ type: "ping" });
    }
    expect(socket.of("pong")).toHaveLength(5);
    await later(44_000);
    socket.says({ type: "pong" });
    await later(39_999);
    expect(one.state).toBe("open");
  });
});

describe("words that are of no use", () => {
  it("are ignored: no JSON, no objects, unknown types, names of the language, late replies, bytes", async () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const { client: one, socket } = await connected();
    const errors = vi.fn();
    one.on("error", errors);
    for (const text of ["", "nope", "null", "5", '"x"', "[]", "{}", '{"type":5}', '{"type":"state"}', '{"type":"toString"}', '{"type":"reply","id":99,"result":1}', new ArrayBuffer(2)]) socket.saysText(text);
    socket.says(welcome({ user: "mallory" }));
    expect([one.state, one.welcome?.user, errors.mock.calls, report.mock.calls]).toEqual(["open", "alice", [], []]);
  });

  it("half a frame is ignored, and breaks nothing", async () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const { client: one, socket } = await connected();
    socket.says({ type: "presence" });
    socket.says({ type: "__proto__" });
    const sending = one.publish("lobby", 1);
    socket.replies("publish", { matched: 1 });
    expect([await sending, one.state, report.mock.calls.length]).toEqual([{ matched: 1 }, "open", 0]);
  });

  it("an error of the server is an event", async () => {
    const { client: one, socket } = await connected();
    const errors: HerenowError[] = [];
    one.on("error", (error) => errors.push(error));
    socket.says({ type: "error", code: "forbidden", message: "`lobby` is closed to you" });
    expect(errors).toMatchObject([{ code: "forbidden", message: "`lobby` is closed to you" }]);
  });
});

describe("listeners", () => {
  it("that throw break nothing, and are reported", async () => {
    const report = vi.fn();
    vi.stubGlobal("reportError", report);
    const { client: one, socket } = await connected();
    const heard: unknown[] = [];
    one.on("push", () => { throw new Error("mine"); });
    one.on("push", ({ data }) => heard.push(data));
    socket.says({ type: "push", mid: "m", kind: "text", data: "hi", time: 0 });
    expect(heard).toEqual(["hi"]);
    expect(report).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ message: "mine" }));
  });

  it("that throw where nothing reports errors are thrown anew, outside of the client", async () => {
    vi.stubGlobal("reportError", undefined);
    const thrown: (() => void)[] = [];
    vi.stubGlobal("queueMicrotask", (task: () => void) => thrown.push(task));
    const { client: one, socket } = await connected();
    one.on("push", () => { throw new Error("mine"); });
    socket.says({ type: "push", mid: "m", kind: "text", data: "hi", time: 0 });
    expect(thrown).toHaveLength(1);
    expect(thrown[0]).toThrow("mine");
  });

  it("listen until they are taken away, each by itself", async () => {
    const { client: one, socket } = await connected();
    const listener = vi.fn();
    const off = one.on("push", listener);
    one.on("push", listener);
    off();
    off();
    socket.says({ type: "push", mid: "m", kind: "text", data: "hi", time: 0 });
    expect(listener).toHaveBeenCalledTimes(1);
  });
});
