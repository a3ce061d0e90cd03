// Every fixture under `protocol/fixtures/`: what the server may say is as the types have it, and what a client may say is what
// this client says.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ClientFrame } from "../../src/protocol.js";
import { client, connected, FakeSocket, later, settled, setUp, tearDown } from "./fake.js";
import { assertServerFrame, RESULTS } from "./shapes.js";

const folder = new URL("../../../protocol/fixtures/", import.meta.url);
const fixtures = (direction: string) => readdirSync(folder)
  .filter((name) => name.startsWith(`${direction}.`))
  .map((file) => ({ name: file.slice(direction.length + 1, -".json".length), ...JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { note: string; frame: any } }));

beforeEach(setUp);
afterEach(tearDown);

describe("what the server says", () => {
  it.each(fixtures("server"))("$name is as the types have it", ({ name, frame }) => {
    assertServerFrame(frame);
    RESULTS[name]?.((frame as { result?: unknown }).result, name);
  });

  it.each(fixtures("server"))("$name is taken by the client", async ({ frame }) => {
    const { client: one, socket } = await connected({ token: "t" });
    const heard: unknown[] = [];
    for (const type of ["push", "kicked", "goodbye", "gap", "presence"] as const) one.on(type, (event) => heard.push(event));
    socket.says(frame);
    expect(one.state).toBe("open");
    expect(heard).toEqual(["push", "kicked", "goodbye", "gap", "presence"].includes(frame.type) ? [frame] : []);
  });

  it("a frame with a field too many or one too few is found out", () => {
    for (const frame of [{ type: "gap" }, { type: "gap", count: "12" }, { type: "gap", count: 1, more: 1 }, { type: "dance" }, { type: "presence", events: [{}] }]) {
      expect(() => assertServerFrame(frame), JSON.stringify(frame)).toThrow();
    }
  });
});

/** How the client comes to say a frame. */
const SAID: { [Type in ClientFrame["type"]]: (frame: any) => Promise<unknown> } = {
  async hello({ token, device, data, client: software, resume }) {
    const one = client({ token, device, data, client: software, firstMessage: true });
    void one.connect();
    await settled();
    if (!resume) return void FakeSocket.last.open();
    FakeSocket.last.welcome({ resumeToken: resume.token, seq: resume.seq }).ends();
    await later(500);
    FakeSocket.last.open();
  },
  async auth({ token }) {
    const { socket } = await connected({ token: "old", getToken: () => token });
    socket.says({ type: "authExpiring", expiresIn: 60_000 });
    await settled();
  },
  subscribe: async ({ channel }) => (await connected()).client.subscribe(channel),
  unsubscribe: async ({ channel }) => (await connected()).client.subscribe(channel).unsubscribe(),
  subscribePresence: async ({ channel }) => (await connected()).client.presence(channel),
  unsubscribePresence: async ({ channel }) => (await connected()).client.presence(channel).leave(),
  async hereNow({ channels, includeUsers, distinct, limit }) {
    (await connected()).client.hereNow({ channels, includeUsers, distinct, limit }).catch(() => {});
  },
  watch: async ({ users }) => (await connected()).client.watch(users, () => {}),
  unwatch: async ({ users }) => (await connected()).client.watch(users, () => {}).unwatch(),
  status: async ({ status }) => (await connected()).client.status(status),
  async ack({ seq }) {
    const { socket } = await connected({}, { resumeToken: "r", seq: seq - 1 });
    socket.says({ type: "push", mid: "m", kind: "text", data: "", time: 0 });
    await later(3000);
  },
  async publish({ channel, data }) {
    (await connected()).client.publish(channel, data).catch(() => {});
  },
  async message({ id, data, channel }) {
    (await connected()).client.send(data, { channel, reply: id !== undefined }).catch(() => {});
  },
  async ping() {
    await connected();
    await later(40_000);
  },
  pong: async () => (await connected()).socket.says({ type: "ping" }),
};

describe("what a client says", () => {
  it.each(fixtures("client").filter(({ name }) => name !== "unknown"))("$name is what this client says", async ({ frame }) => {
    expect(Object.keys(SAID)).toContain(frame.type);
    await SAID[frame.type as ClientFrame["type"]](frame);
    const said = FakeSocket.last.of(frame.type).at(-1) as { id?: number };
    expect("id" in frame ? { ...said, id: frame.id } : said).toEqual(frame);
    expect(said.id).toEqual("id" in frame ? expect.any(Number) : undefined);
  });
});
