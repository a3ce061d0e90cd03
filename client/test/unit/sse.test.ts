import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UnauthorizedError } from "../../src/index.js";
import { EventStream, sse, type EventStreamOptions } from "../../src/sse.js";
import { client, FakeSocket, later, settled, setUp, tearDown, welcome } from "./fake.js";

class FakeSource {
  static made: FakeSource[] = [];
  static get last() { return FakeSource.made.at(-1)!; }
  readyState = 0;
  onmessage: ((event: any) => any) | null = null;
  onerror: ((event: any) => any) | null = null;
  readonly url: string;
  readonly options: { withCredentials: boolean };

  constructor(url: string, options: { withCredentials: boolean }) {
    this.url = url;
    this.options = options;
    FakeSource.made.push(this);
  }

  close() { this.readyState = 2; }
  says(frame: object) { this.onmessage?.({ data: JSON.stringify(frame) }); }
  welcome() { this.readyState = 1; this.says(welcome()); return this; }
  /** The browser comes back by itself, or, refused, does not. */
  fails(isRefused: boolean) { this.readyState = isRefused ? 2 : 0; this.onerror?.({}); }
}

const URL = "http://127.0.0.1/presence/events";
const push = { type: "push", mid: "m", kind: "text", data: "hi", time: 0 };
const kicked = { type: "kicked", code: 4423, reason: "kicked", message: "out", reconnect: false };
let streams: EventStream[] = [];

beforeEach(() => { setUp(); FakeSource.made = []; });
afterEach(() => {
  for (const one of streams) one.close();
  streams = [];
  tearDown();
});

function stream(options: EventStreamOptions = {}) {
  const one = new EventStream(URL, { EventSource: FakeSource, random: () => 1, ...options });
  streams.push(one);
  return one;
}

async function opened(options: EventStreamOptions = {}) {
  const one = stream(options);
  one.connect();
  await settled();
  return { one, source: FakeSource.last.welcome() };
}

describe("a stream", () => {
  it("is open with the welcome, and tells each frame by its type", async () => {
    const one = stream();
    const states: string[] = [];
    const heard: unknown[] = [];
    one.on("state", (state) => states.push(state));
    const off = one.on("push", (frame) => heard.push(frame));
    one.connect();
    one.connect();
    await settled();
    expect(FakeSource.made).toHaveLength(1);
    expect([FakeSource.last.url, FakeSource.last.options]).toEqual([URL, { withCredentials: false }]);
    FakeSource.last.welcome().says(push);
    for (const data of ["", "nope", "null", "5", '{"type":"state"}']) FakeSource.last.onmessage?.({ data });
    off();
    FakeSource.last.says(push);
    expect([heard, states, one.state]).toEqual([[push], ["connecting", "open"], "open"]);
  });

  it("is the browser's to reopen with a cookie, unless it was refused", async () => {
    const { one, source } = await opened({ withCredentials: true });
    source.fails(false);
    await later(60_000 - 20_000);
    expect([FakeSource.made.length, source.options.withCredentials]).toEqual([1, true]);
    source.fails(true);
    expect(one.state).toBe("waiting");
    await later(500);
    expect(FakeSource.made).toHaveLength(2);
  });

  it("fetches a ticket for every attempt", async () => {
    let count = 0;
    const { source } = await opened({ getTicket: async () => `t ${++count}` });
    expect(source.url).toBe(`${URL}?ticket=t+1`);
    source.fails(false);
    expect(source.readyState).toBe(2);
    await later(500);
    expect(FakeSource.last.url).toBe(`${URL}?ticket=t+2`);
  });

  it("comes back with a ticket when the server asked it to", async () => {
    let count = 0;
    const { one, source } = await opened({ getTicket: () => `${++count}` });
    source.says({ type: "goodbye", code: 4302, reason: "drain", reconnect: true, reconnectInMs: 2500 });
    expect(one.state).toBe("waiting");
    await later(2499);
    expect(FakeSource.made).toHaveLength(1);
    await later(1);
    expect(FakeSource.made).toHaveLength(2);
  });

  it("tries again after a ticket that could not be had, and stops where the user has to log in", async () => {
    let failure: Error = new Error("no network");
    const one = stream({ getTicket: () => { throw failure; } });
    one.connect();
    await settled();
    expect(one.state).toBe("waiting");
    failure = new UnauthorizedError();
    await later(500);
    expect([one.state, FakeSource.made.length]).toEqual(["closed", 0]);
  });

  it("stops after an end for good, and when it is closed", async () => {
    const { one, source } = await opened();
    const heard = vi.fn();
    one.on("kicked", heard);
    source.says(kicked);
    await later(60_000);
    expect([one.state, source.readyState, heard.mock.calls.length, FakeSource.made.length]).toEqual(["closed", 2, 1, 1]);
    one.connect();
    await settled();
    one.close();
    await later(60_000);
    expect(FakeSource.made).toHaveLength(2);
  });

  it("that is silent for too long is opened anew", async () => {
    const { source } = await opened();
    await later(40_000);
    source.says({ type: "ping" });
    await later(44_999);
    expect(source.readyState).toBe(1);
    await later(1);
    expect(source.readyState).toBe(2);
  });

  it("is closed where there are no streams", async () => {
    const one = stream({ EventSource: undefined });
    vi.stubGlobal("EventSource", undefined);
    one.connect();
    await settled();
    expect(one.state).toBe("closed");
  });
});

describe("a client's fallback", () => {
  const withFallback = () => client({ fallback: sse(URL, { EventSource: FakeSource, random: () => 1 }) });

  it("brings pushes after three attempts without a socket, until one opens", async () => {
    const one = withFallback();
    const [all, lobby] = [vi.fn(), vi.fn()];
    one.on("push", all);
    one.subscribe("lobby", lobby);
    void one.connect();
    for (const wait of [0, 500, 1000]) {
      await later(wait);
      expect(FakeSource.made).toHaveLength(0);
      FakeSocket.last.ends();
    }
    await settled();
    FakeSource.last.welcome().says(push);
    FakeSource.last.says({ ...push, channel: "lobby" });
    expect([all.mock.calls.length, lobby.mock.calls.length, one.state]).toEqual([2, 1, "waiting"]);
    await later(2000);
    expect(FakeSource.last.readyState).toBe(1);
    FakeSocket.last.welcome();
    expect([FakeSource.last.readyState, one.state]).toEqual([2, "open"]);
    FakeSocket.last.says(push);
    expect(all).toHaveBeenCalledTimes(3);
  });

  it("does not count what the socket's stream does not", async () => {
    const one = withFallback();
    void one.connect();
    await settled();
    FakeSocket.last.welcome({ resumeToken: "r", seq: 5 }).ends();
    for (const wait of [500, 1000]) {
      await later(wait);
      FakeSocket.last.ends();
    }
    await settled();
    FakeSource.last.welcome().says(push);
    await later(2000);
    expect(FakeSocket.last.open().of("hello")[0]?.resume).toEqual({ token: "r", seq: 5 });
  });

  it("ends with the client, and ends it where the server says so", async () => {
    for (const end of ["close", "kicked"]) {
      const one = withFallback();
      const heard = vi.fn();
      one.on("kicked", heard);
      void one.connect();
      for (const wait of [0, 500, 1000]) {
        await later(wait);
        FakeSocket.last.ends();
      }
      await settled();
      FakeSource.last.welcome();
      if (end === "close") one.close();
      else FakeSource.last.says(kicked);
      expect([one.state, FakeSource.last.readyState, heard.mock.calls.length], end).toEqual(["closed", 2, end === "kicked" ? 1 : 0]);
    }
  });

  it("begins at once where there are no sockets at all", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const one = client({ WebSocket: undefined, fallback: sse(URL, { EventSource: FakeSource }) });
    const heard = vi.fn();
    one.on("push", heard);
    void one.connect();
    await settled();
    FakeSource.last.welcome().says(push);
    expect(heard).toHaveBeenCalledTimes(1);
  });
});
