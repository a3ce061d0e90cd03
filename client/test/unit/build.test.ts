// What the adapters serve is what these sources make, and it works.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bundles } from "../../scripts/bundles.mjs";
import { FakeSocket, setUp, tearDown, welcome } from "./fake.js";

const served = () => readFileSync(new URL("../../../core/assets/client.js", import.meta.url), "utf8");

beforeEach(setUp);
afterEach(tearDown);

describe("core/assets/client.js", () => {
  it("is a fresh build (`npm run build` makes it)", async () => {
    const isFresh = Buffer.from((await bundles())["herenow.min.js"]).toString() === served();
    expect(isFresh, "run `npm run build` in client/").toBe(true);
  });

  it("gives a page one name, with everything in it, and no other", () => {
    const page = createContext({ TextEncoder });
    runInContext(served(), page);
    expect(Object.keys(page)).toEqual(["TextEncoder", "herenow"]);
    expect(Object.keys(page["herenow"]).sort()).toEqual(["EventStream", "GoEasy", "Herenow", "HerenowError", "UnauthorizedError", "adviceOf", "sse"]);
  });

  it("connects, sends, hears and comes to know who is there", async () => {
    const page = createContext({ URL, TextEncoder, AbortController, btoa, setTimeout, clearTimeout, queueMicrotask });
    runInContext(served(), page);
    const client = new page["herenow"].Herenow("ws://127.0.0.1/ws", { WebSocket: FakeSocket, token: "t" });
    const opening = client.connect();
    await Promise.resolve();
    await Promise.resolve();
    FakeSocket.last.welcome();
    expect(await opening).toEqual(welcome());
    const list = client.presence("lobby");
    FakeSocket.last.says({ type: "presenceState", channel: "lobby", ver: 1, clientAmount: 1, userAmount: 1, users: [{ id: "bob", data: "", status: "online" }], more: false });
    await list.ready;
    expect([list.userAmount, list.list()[0].id]).toEqual([1, "bob"]);
    const publishing = client.publish("lobby", "hi");
    FakeSocket.last.replies("publish", { matched: 2 });
    expect(await publishing).toEqual({ matched: 2 });
    client.close();
  });
});

describe("sizes", () => {
  it.each([["index.js", 5120], ["goeasy.js", 1536], ["sse.js", 1536], ["herenow.min.js", 8192]] as const)("%s has at most %i bytes after gzip", async (name, limit) => {
    expect(gzipSync((await bundles())[name], { level: 9 }).length).toBeLessThanOrEqual(limit);
  });
});
