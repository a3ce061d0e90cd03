import type { Options } from "./types.js";

const PROTOCOL = "herenow.v1.json";

/** Headers have limits of a few KiB at servers and proxies; a longer token goes into the first message. */
const MAX_HEADER = 2048;

const encoder = new TextEncoder();

/** How long a text is in UTF-8. */
export const byteLength = (text: string) => encoder.encode(text).length;

/** The subprotocol that carries a token, which a header could not hold as it is. */
export const bearer = (token: string) =>
  "base64url.bearer.herenow." + btoa(String.fromCharCode(...encoder.encode(token))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

/** The subprotocols to offer, and the token for `hello` where the upgrade does not carry it. */
export function credential(token: string | undefined, where: Options["firstMessage"] = "auto"): { protocols: string[]; token?: string } {
  const inUpgrade = token && !(where === "auto" ? byteLength(token) * 4 / 3 > MAX_HEADER : where);
  return inUpgrade ? { protocols: [PROTOCOL, bearer(token)] } : { protocols: [PROTOCOL], ...(token && { token }) };
}

export type Tokens = ReturnType<typeof tokens>;

/** The token of now, fetched when there is none, when its time is over, and when the server refused it. */
export function tokens({ token, getToken, cookies }: Options, now: () => number) {
  let current = cookies ? undefined : token;
  let isStale = !token && !cookies;
  let end = Infinity;
  return {
    /** The token, or `undefined` where there is none: with cookies, or for a guest. */
    async get(): Promise<string | undefined> {
      if (getToken && (isStale || now() >= end)) {
        const fresh = await getToken();
        isStale = false;
        end = Infinity;
        if (!cookies) current = fresh as string;
      }
      return current;
    },
    /** The token's time is over in `ms`, as the server says; without a number it has no end. */
    endsIn(ms = Infinity): void {
      end = now() + ms;
    },
    /** The token is of no use any more. Returns whether another one can be had. */
    spoil(): boolean {
      isStale = true;
      return !!getToken;
    },
  };
}
