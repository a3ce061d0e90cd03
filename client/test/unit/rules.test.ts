import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bearer, credential, tokens } from "../../src/auth.js";
import { backoff } from "../../src/backoff.js";
import { adviceOf } from "../../src/codes.js";
import { socketUrl } from "../../src/url.js";

describe("close codes", () => {
  const table: { code: number; reason: string | null; advice: string }[] = JSON.parse(
    readFileSync(new URL("../../../protocol/close-codes.json", import.meta.url), "utf8"),
  );

  it.each(table)("the table agrees with the server's for $code $reason", ({ code, advice }) => {
    expect(adviceOf(code)).toBe(advice);
  });

  it("a code that nobody knows is worth another attempt", () => {
    for (const code of [1005, 1010, 1014, 1015, 3000, 3999, 4303, 4600, 4999]) expect(adviceOf(code), `${code}`).toBe("backOff");
  });
});

describe("back-off", () => {
  it("doubles up to the longest wait, and begins anew after a reset", () => {
    const waits = backoff(undefined, () => 1);
    expect(Array.from({ length: 8 }, () => waits.delay())).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
    waits.reset();
    expect(waits.delay()).toBe(500);
  });

  it("is spread over the whole range, above a floor", () => {
    const least = backoff({ min: 1000, max: 4000 }, () => 0);
    expect([least.delay(), least.delay(), least.delay(), least.delay()]).toEqual([200, 200, 200, 200]);
    const middle = backoff({ min: 1000, max: 4000 }, () => 0.5);
    expect([middle.delay(), middle.delay(), middle.delay(), middle.delay()]).toEqual([600, 1100, 2100, 2100]);
  });

  it("stays within its bounds after ever so many attempts", () => {
    const waits = backoff({ min: 500, max: 20_000 });
    for (let attempt = 0; attempt < 3000; attempt++) {
      const ms = waits.delay();
      expect(ms >= 100 && ms <= 20_000, `${ms}`).toBe(true);
    }
  });

  it("grants an attempt at once only to the first", () => {
    const waits = backoff(undefined, () => 1);
    expect([waits.delay(true), waits.delay(true), waits.delay(true)]).toEqual([0, 1000, 2000]);
  });
});

describe("the socket's address", () => {
  it("is absolute, and of ws, whatever it was", () => {
    expect(socketUrl("http://127.0.0.1:3000/ws?a=1#top")).toBe("ws://127.0.0.1:3000/ws?a=1");
    expect(socketUrl("https://example.test/ws")).toBe("wss://example.test/ws");
    expect(socketUrl(new URL("wss://example.test/http"))).toBe("wss://example.test/http");
  });

  it("is no address without a page to be relative to", () => {
    expect(() => socketUrl("/ws")).toThrow(TypeError);
  });
});

describe("where the token stands", () => {
  it("is the subprotocol, as base64url of its UTF-8 bytes without padding", () => {
    const protocol = bearer("tök?en>>>é");
    expect(protocol).toMatch(/^base64url\.bearer\.herenow\.[A-Za-z0-9_-]+$/);
    expect(Buffer.from(protocol.split(".").at(-1)!, "base64url").toString()).toBe("tök?en>>>é");
    expect(credential("abc")).toEqual({ protocols: ["herenow.v1.json", "base64url.bearer.herenow.YWJj"] });
  });

  it("is the first message for a token that is too long for a header, by its bytes", () => {
    expect(credential("x".repeat(1536)).token).toBeUndefined();
    expect(credential("x".repeat(1537))).toEqual({ protocols: ["herenow.v1.json"], token: "x".repeat(1537) });
    expect(credential("é".repeat(769)).token).toHaveLength(769);
  });

  it("is as the application says", () => {
    expect(credential("abc", true)).toEqual({ protocols: ["herenow.v1.json"], token: "abc" });
    expect(credential("x".repeat(3000), false).protocols).toHaveLength(2);
  });

  it("is nowhere without a token", () => {
    expect(credential(undefined)).toEqual({ protocols: ["herenow.v1.json"] });
    expect(credential("", true)).toEqual({ protocols: ["herenow.v1.json"] });
  });
});

describe("the token", () => {
  const counting = () => {
    let count = 0;
    return { getToken: () => `t${++count}`, calls: () => count };
  };

  it("is fetched once, then kept", async () => {
    const { getToken, calls } = counting();
    const source = tokens({ getToken }, () => 0);
    expect([await source.get(), await source.get(), calls()]).toEqual(["t1", "t1", 1]);
  });

  it("that was given is used first, and fetched anew when it was refused", async () => {
    const source = tokens({ ...counting(), token: "given" }, () => 0);
    expect(await source.get()).toBe("given");
    expect(source.spoil()).toBe(true);
    expect(await source.get()).toBe("t1");
  });

  it("is fetched anew when its time is over", async () => {
    let now = 0;
    const source = tokens(counting(), () => now);
    await source.get();
    source.endsIn(1000);
    now = 999;
    expect(await source.get()).toBe("t1");
    now = 1000;
    expect(await source.get()).toBe("t2");
    now = 1e12;
    expect(await source.get()).toBe("t2");
  });

  it("cannot be had again where nobody fetches one", async () => {
    const source = tokens({ token: "given" }, () => 0);
    expect(source.spoil()).toBe(false);
    expect(await source.get()).toBe("given");
  });

  it("is none with cookies, but the cookie is renewed", async () => {
    const { getToken, calls } = counting();
    const source = tokens({ getToken, cookies: true, token: "ignored" }, () => 0);
    expect([await source.get(), calls()]).toEqual([undefined, 0]);
    expect(source.spoil()).toBe(true);
    expect([await source.get(), calls()]).toEqual([undefined, 1]);
  });
});
