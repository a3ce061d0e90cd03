// Something between client and server that says what no server says: the client goes on.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { afterAll, beforeAll, expect } from "vitest";
import { Address } from "./conformance.js";
import { contents, heard, onEveryAdapter, until, type World } from "./world.js";

const GARBAGE = [
  "", "{", "null", "17", '"push"', "[]", "[1]", "{}", '{"type":null}', '{"type":"toString"}', '{"type":"__proto__"}', '{"type":"constructor"}', '{"type":"from the future","id":1}',
  '{"type":"reply"}', '{"type":"reply","id":"1"}', '{"type":"reply","id":999,"result":{}}', '{"type":"reply","id":999,"error":{}}', '{"type":"reply","id":1,"error":null}',
  '{"type":"presence"}', '{"type":"presence","channel":"room","events":null}', '{"type":"presence","channel":"__proto__","ver":1,"events":[]}', '{"type":"presenceState"}',
  '{"type":"presenceState","channel":"nobody asked","ver":1,"users":[],"more":false}', '{"type":"push"}', '{"type":"error"}', '{"type":"welcome"}', '{"type":"authExpiring"}', '{"type":"pong"}',
  `{"type":"x","deep":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
];

/** Passes the frames of both sides on, and says its own in between. */
async function between(world: World) {
  const listener = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "herenow.v1.json" });
  await once(listener, "listening");
  const sides: WebSocket[] = [];
  listener.on("connection", (client, request) => {
    const server = new WebSocket(world.server.ws, request.headers["sec-websocket-protocol"]!.split(/, */));
    const early: string[] = [];
    client.on("message", (text) => (server.readyState === 1 ? server.send(`${text}`) : early.push(`${text}`)));
    server.on("open", () => early.forEach((text) => server.send(text)));
    server.on("message", (text) => client.send(`${text}`));
    server.on("close", () => client.close());
    client.on("close", () => server.close());
    sides.push(client);
  });
  world.later(() => {
    for (const side of listener.clients) side.terminate();
    listener.close();
  });
  const address = new Address(`127.0.0.1:${(listener.address() as AddressInfo).port}`);
  return { address, sides };
}

/** What is reported where errors are looked for, in this process the only place for it. */
const reported: string[] = [];
const report = (error: Error) => { reported.push(error.message); };
let others: NodeJS.UncaughtExceptionListener[] = [];

beforeAll(() => {
  others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", report);
});

afterAll(() => {
  process.removeListener("uncaughtException", report);
  for (const other of others) process.on("uncaughtException", other);
  expect(reported.filter((line) => !line.startsWith("a bug in the page"))).toEqual([]);
});

onEveryAdapter((it) => {
  it("garbage breaks nothing: pushes, requests and the list go on, on the same connection", async ({ world }) => {
    const [room, alice] = [world.name("room"), world.name("alice")];
    const { address, sides } = await between(world);
    const client = await world.online(alice, { to: address, getToken: () => world.server.login(alice) });
    const [said, closed] = [contents(client), heard(client, "state")];
    const list = client.presence(room);
    await Promise.all([client.subscribe(room).ready, list.ready]);
    await until(() => expect(list.list()).toHaveLength(1));
    for (const [at, frame] of GARBAGE.entries()) {
      sides[0]!.send(frame);
      expect(await client.send(`echo:${at}`, { reply: true }), frame).toBe(`echo:${at}`);
    }
    sides[0]!.send(Buffer.from([0xff, 0, 0x7b]));
    await world.server.push(alice, "still here");
    await until(() => expect(said).toContain("still here"));
    expect(list.list().map(({ id }) => id)).toEqual([alice]);
    expect([closed, sides.length]).toEqual([[], 1]);
    expect(({} as any).data).toBeUndefined();
  });

  it("a listener that throws disturbs nobody", async ({ world }) => {
    const alice = world.name("alice");
    const client = await world.online(alice);
    client.on("push", ({ data }) => { throw new Error(`a bug in the page: ${data} for ${alice}`); });
    const said = contents(client);
    await world.server.push(alice, "one");
    await world.server.push(alice, "two");
    await until(() => expect(said).toEqual(["one", "two"]));
    await until(() => expect(reported.filter((line) => line.endsWith(alice))).toHaveLength(2));
  });
});
