import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { client, connected, FakeSocket, later, settled, setUp, tearDown } from "./fake.js";

let page: EventTarget & { hidden: boolean };
let window: EventTarget;

beforeEach(() => {
  setUp();
  page = Object.assign(new EventTarget(), { hidden: false });
  window = new EventTarget();
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
});
afterEach(tearDown);

const hide = (hidden: boolean) => {
  page.hidden = hidden;
  page.dispatchEvent(new Event("visibilitychange"));
};
const touch = (type = "pointermove") => page.dispatchEvent(new Event(type));
const said = (socket: FakeSocket) => socket.of("status").map(({ status }) => status);
/** The server is heard of, so that the watchdog sleeps. */
const quiet = async (socket: FakeSocket, ms: number) => {
  for (; ms > 0; ms -= 30_000) {
    await later(Math.min(ms, 30_000));
    socket.says({ type: "ping" });
  }
};

describe("away", () => {
  it("is said after the tab was hidden for ten seconds, and taken back when it is seen", async () => {
    const { socket } = await connected();
    hide(true);
    await later(9999);
    expect(said(socket)).toEqual([]);
    await later(1);
    expect(said(socket)).toEqual(["away"]);
    touch();
    expect(said(socket)).toEqual(["away"]);
    hide(false);
    expect(said(socket)).toEqual(["away", "online"]);
  });

  it("is not said for a glance at another tab", async () => {
    const { socket } = await connected();
    hide(true);
    await later(9000);
    hide(false);
    await later(9000);
    expect(said(socket)).toEqual([]);
  });

  it.each(["pointerdown", "pointermove", "keydown", "wheel"])("is said after five minutes without a touch, and taken back by a %s", async (type) => {
    const { socket } = await connected();
    await quiet(socket, 299_999);
    expect(said(socket)).toEqual([]);
    await later(1);
    expect(said(socket)).toEqual(["away"]);
    touch(type);
    expect(said(socket)).toEqual(["away", "online"]);
  });

  it("is not said while somebody reads, and the server hears of them now and then", async () => {
    const { socket } = await connected();
    for (let minute = 0; minute < 10; minute++) {
      await quiet(socket, 60_000);
      touch();
      touch();
    }
    expect(said(socket)).toEqual(["online", "online", "online"]);
  });

  it("has its own times, and may be switched off", async () => {
    const short = await connected({ away: { hidden: 100, idle: 0 } });
    hide(true);
    await later(100);
    expect(said(short.socket)).toEqual(["away"]);
    short.client.close();
    page.hidden = false;

    const never = await connected({ away: false });
    hide(true);
    await quiet(never.socket, 600_000);
    hide(false);
    touch();
    expect(said(never.socket)).toEqual([]);
  });

  it("is said anew on the next connection", async () => {
    const { socket } = await connected();
    hide(true);
    await later(10_000);
    socket.ends();
    await later(500);
    expect(said(FakeSocket.last.welcome())).toEqual(["away"]);
  });

  it("gives way to the application's word, which comes back with the person", async () => {
    const { client: one, socket } = await connected();
    one.status("in a call");
    hide(true);
    await later(10_000);
    hide(false);
    expect(said(socket)).toEqual(["in a call", "away", "in a call"]);
    socket.ends();
    await later(500);
    expect(said(FakeSocket.last.welcome())).toEqual(["in a call"]);
  });

  it("is watched no more after close()", async () => {
    const { client: one, socket } = await connected();
    one.close();
    hide(true);
    await later(60_000);
    for (const type of ["pagehide", "pageshow", "online"]) window.dispatchEvent(Object.assign(new Event(type), { persisted: true }));
    expect([said(socket), one.state]).toEqual([[], "closed"]);
  });
});

describe("a status", () => {
  it("that was said before there is a connection is said with it", async () => {
    const one = client();
    one.status("busy");
    void one.connect();
    await settled();
    expect(said(FakeSocket.last.welcome())).toEqual(["busy"]);
  });

  it("is said anew after a resume, whatever it is", async () => {
    const { socket } = await connected();
    socket.ends();
    await later(500);
    expect(said(FakeSocket.last.welcome({ resumed: true }))).toEqual(["online"]);
  });
});

describe("the page", () => {
  it("that is seen again, or online again, does not wait for the next attempt", async () => {
    for (const back of [() => hide(false), () => window.dispatchEvent(new Event("online"))]) {
      const { client: one, socket } = await connected();
      socket.ends();
      expect(one.state).toBe("waiting");
      back();
      expect(one.state).toBe("connecting");
      one.close();
    }
  });

  it("that is seen again asks an open connection whether it still is one", async () => {
    const { client: one, socket } = await connected();
    hide(false);
    expect(socket.of("ping")).toHaveLength(1);
    await later(5000);
    expect(one.state).toBe("waiting");
  });

  it("that goes into the history lets go of its socket, and comes back with a resume", async () => {
    const { client: one, socket } = await connected({}, { resumeToken: "r", seq: 7 });
    window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
    expect([socket.closedWith, one.state]).toEqual([4100, "waiting"]);
    await later(600_000);
    expect(FakeSocket.made).toHaveLength(1);
    window.dispatchEvent(new Event("pageshow"));
    await settled();
    expect(FakeSocket.last.open().of("hello")[0]?.resume).toEqual({ token: "r", seq: 7 });
  });

  it("that goes for good leaves the close code to the browser", async () => {
    const { client: one, socket } = await connected();
    window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: false }));
    expect([socket.closedWith, one.state]).toEqual([undefined, "open"]);
  });
});

describe("without a page", () => {
  it("nothing is watched, and everything else works", async () => {
    vi.unstubAllGlobals();
    const { client: one, socket } = await connected();
    await quiet(socket, 600_000);
    expect([one.state, said(socket)]).toEqual(["open", []]);
  });
});
