// What a frame looks like, checked at run time and tied to the types: a field that the type has and the shape has not, or the
// other way round, does not compile.
import type { HereNowChannel, Member, PresenceEvent, ServerFrame, WatchedUser, Welcome, WireError } from "../../src/protocol.js";

/** Throws where a value is not as it should be. */
type Check = (value: unknown, at: string) => void;
/** Each field of a type, optional ones with `maybe`. */
type Shape<Type> = { [Key in keyof Type]-?: {} extends Pick<Type, Key> ? { maybe: Check } : Check };

function fail(at: string, expected: string, value: unknown): never {
  throw new Error(`${at}: expected ${expected}, found ${JSON.stringify(value)}`);
}
const of = (type: "string" | "number" | "boolean"): Check => (value, at) => void (typeof value === type || fail(at, type, value));
const text = of("string");
const number = of("number");
const bool = of("boolean");
const any: Check = (value, at) => void (value !== undefined || fail(at, "anything", value));
const maybe = (check: Check) => ({ maybe: check });
const word = (expected: string): Check => (value, at) => void (value === expected || fail(at, expected, value));
const list = (check: Check): Check => (value, at) => {
  if (!Array.isArray(value)) return fail(at, "a list", value);
  value.forEach((one, index) => check(one, `${at}[${index}]`));
};

const object = <Type>(shape: Shape<Type>): Check => (value, at) => {
  if (typeof value !== "object" || value === null) return fail(at, "an object", value);
  for (const key of Object.keys(value)) if (!(key in shape)) fail(`${at}.${key}`, "no such field", (value as Record<string, unknown>)[key]);
  for (const [key, check] of Object.entries(shape) as [string, Check | { maybe: Check }][]) {
    const field = (value as Record<string, unknown>)[key];
    if (typeof check === "function") check(field, `${at}.${key}`);
    else if (field !== undefined) check.maybe(field, `${at}.${key}`);
  }
};

const presenceEvent = object<PresenceEvent>({
  action: (value, at) => void (["join", "leave", "online", "offline", "update"].includes(value as string) || fail(at, "an action", value)),
  cause: text,
  user: object<PresenceEvent["user"]>({ id: text, data: any }),
  status: text,
  lastSeen: maybe(number),
  time: number,
});

type Frames = { [Type in Exclude<ServerFrame["type"], "presence">]: Check };

const FRAMES: Frames = {
  welcome: object<Welcome>({
    type: word("welcome"),
    connection: text,
    user: text,
    resumeToken: maybe(text),
    resumed: bool,
    seq: number,
    expiresIn: maybe(number),
    serverTime: number,
    heartbeat: object<Welcome["heartbeat"]>({ interval: number, timeout: number }),
    limits: object<Welcome["limits"]>({ maxFrame: number, maxChannels: number }),
  }),
  reply: object<Extract<ServerFrame, { type: "reply" }>>({
    type: word("reply"),
    id: number,
    result: maybe(any),
    error: maybe(object<WireError>({ code: text, message: text, temporary: bool, retryAfterMs: maybe(number) })),
  }),
  push: object<Extract<ServerFrame, { type: "push" }>>({
    type: word("push"),
    mid: text,
    kind: text,
    channel: maybe(text),
    data: any,
    encoding: maybe(word("base64")),
    time: number,
    metadata: maybe(any),
    ack: maybe(bool),
  }),
  presenceState: object<Extract<ServerFrame, { type: "presenceState" }>>({
    type: word("presenceState"),
    channel: text,
    ver: number,
    clientAmount: number,
    userAmount: number,
    users: list(object<Member>({ id: text, data: any, status: text })),
    more: bool,
  }),
  kicked: object<Extract<ServerFrame, { type: "kicked" }>>({ type: word("kicked"), code: number, reason: text, message: text, reconnect: bool }),
  goodbye: object<Extract<ServerFrame, { type: "goodbye" }>>({ type: word("goodbye"), code: number, reason: text, reconnect: bool, reconnectInMs: maybe(number) }),
  gap: object<Extract<ServerFrame, { type: "gap" }>>({ type: word("gap"), count: number }),
  error: object<Extract<ServerFrame, { type: "error" }>>({ type: word("error"), code: text, message: text }),
  authExpiring: object<Extract<ServerFrame, { type: "authExpiring" }>>({ type: word("authExpiring"), expiresIn: number }),
  ping: object<{ type: string }>({ type: word("ping") }),
  pong: object<{ type: string }>({ type: word("pong") }),
};

const channelPresence = object<Extract<ServerFrame, { type: "presence"; ver: number }>>({
  type: word("presence"),
  channel: text,
  ver: number,
  clientAmount: number,
  userAmount: number,
  events: list(presenceEvent),
});
const watchedPresence = object<{ type: string; events: PresenceEvent[] }>({ type: word("presence"), events: list(presenceEvent) });

/** Throws, naming the field, where a frame is none of the protocol's types. */
export function assertServerFrame(frame: any): asserts frame is ServerFrame {
  if (frame.type === "presence") {
    return ("channel" in frame ? channelPresence : watchedPresence)(frame, "presence");
  }
  const check: Check | undefined = Object.hasOwn(FRAMES, frame.type) ? FRAMES[frame.type as keyof Frames] : undefined;
  if (!check) return void fail("type", "a type of src/protocol.ts", frame.type);
  check(frame, frame.type);
}

/** What a reply's `result` looks like, by the name of its fixture. */
export const RESULTS: Record<string, Check> = {
  "reply-here-now": object<{ code: 200; content: unknown }>({
    code: number,
    content: ((value: any, at: string) => {
      for (const [name, channel] of Object.entries(value.channels)) {
        hereNowChannel(channel, `${at}.${name}`);
        word(name)((channel as HereNowChannel).channel, `${at}.${name}.channel`);
      }
    }),
  }),
  "reply-watch": object<{ users: WatchedUser[] }>({ users: list(object<WatchedUser>({ id: text, status: text, lastSeen: maybe(number) })) }),
  "reply-publish": object<{ matched: number }>({ matched: number }),
};

const hereNowChannel: Check = object<HereNowChannel>({
  channel: text,
  clientAmount: number,
  userAmount: number,
  users: maybe(list(object<{ id: string; data: unknown }>({ id: text, data: any }))),
});
