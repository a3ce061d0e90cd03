import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connected, FakeSocket, later, setUp, tearDown } from "./fake.js";

beforeEach(setUp);
afterEach(tearDown);

const push = (more: object = {}) => ({ type: "push", mid: "m", kind: "text", data: "hi", time: 0, ...more });
const says = (socket: FakeSocket, times: number) => { for (let count = 0; count < times; count++) socket.says(push()); };
const hello = (socket: FakeSocket) => socket.of("hello")[0];

describe("resume", () => {
  it("names the token and the count of pushes and gaps, from welcome.seq on", async () => {
    const { client: one, socket } = await connected({}, { resumeToken: "r3sume", seq: 40 });
    const resumed: boolean[] = [];
    one.on("resumed", (is) => resumed.push(is));
    says(socket, 3);
    socket.says({ type: "gap", count: 12 });
    socket.says({ type: "ping" });
    socket.ends();
    await later(500);
    FakeSocket.last.open();
    expect(hello(FakeSocket.last)?.resume).toEqual({ token: "r3sume", seq: 55 });
    FakeSocket.last.welcome({ resumeToken: "r3sume", resumed: true, seq: 55 });
    says(FakeSocket.last, 2);
    FakeSocket.last.ends();
    await later(1000);
    expect(hello(FakeSocket.last.open())?.resume).toEqual({ token: "r3sume", seq: 57 });
    FakeSocket.last.welcome({ resumeToken: "other", resumed: false, seq: 0 });
    expect(resumed).toEqual([true, false]);
    FakeSocket.last.ends();
    await later(2000);
    expect(hello(FakeSocket.last.open())?.resume).toEqual({ token: "other", seq: 0 });
  });

  it("is not asked for where the server keeps nothing, nor after close()", async () => {
    const plain = await connected();
    says(plain.socket, 20);
    await later(5000);
    plain.socket.ends();
    await later(500);
    expect(hello(FakeSocket.last.open())?.resume).toBeUndefined();
    expect(plain.socket.of("ack")).toEqual([]);

    const closed = await connected({}, { resumeToken: "r3sume" });
    closed.client.close();
    void closed.client.connect();
    await later(0);
    expect(hello(FakeSocket.last.open())?.resume).toBeUndefined();
  });

  it("is no event of the first connection", async () => {
    const { client: one } = await connected();
    const resumed: boolean[] = [];
    one.on("resumed", (is) => resumed.push(is));
    one.close();
    void one.connect();
    await later(0);
    FakeSocket.last.welcome();
    expect(resumed).toEqual([]);
  });
});

describe("acknowledgements", () => {
  it("go out every 16 pushes, a gap counting as so many", async () => {
    const { socket } = await connected({}, { resumeToken: "r", seq: 100 });
    says(socket, 15);
    expect(socket.of("ack")).toEqual([]);
    says(socket, 1);
    expect(socket.of("ack")).toEqual([{ type: "ack", seq: 116 }]);
    socket.says({ type: "gap", count: 20 });
    expect(socket.of("ack").at(-1)).toEqual({ type: "ack", seq: 136 });
  });

  it("go out some seconds after one push, once", async () => {
    const { socket } = await connected({}, { resumeToken: "r" });
    says(socket, 1);
    await later(2000);
    says(socket, 1);
    await later(1000);
    expect(socket.of("ack")).toEqual([{ type: "ack", seq: 2 }]);
    await later(20_000);
    expect(socket.of("ack")).toHaveLength(1);
    says(socket, 1);
    await later(3000);
    expect(socket.of("ack").at(-1)).toEqual({ type: "ack", seq: 3 });
    says(socket, 17);
    await later(2999);
    expect(socket.of("ack").map(({ seq }) => seq)).toEqual([2, 3, 19]);
  });

  it("go out at once where the server waits for it", async () => {
    const { socket } = await connected();
    socket.says(push({ ack: true }));
    expect(socket.of("ack")).toEqual([{ type: "ack", seq: 1 }]);
  });

  it("are of the connection they belong to", async () => {
    const { socket } = await connected({}, { resumeToken: "r" });
    says(socket, 1);
    socket.ends();
    await later(500);
    FakeSocket.last.welcome({ resumeToken: "r", resumed: true, seq: 1 });
    await later(10_000);
    expect([socket, FakeSocket.last].map((one) => one.of("ack").length)).toEqual([0, 0]);
  });
});
