/**
 * What an application passes in and hears back.
 *
 * @module
 */

import type { Herenow } from "./client.js";
import type { HerenowError } from "./errors.js";
import type { Gap, Goodbye, Json, Kicked, Member, PresenceCause, PresenceEvent, PresenceFrame, Push, Status, Welcome } from "./protocol.js";

/**
 * Where a client stands: `idle` until the first `connect()`, `waiting` for its next attempt, `closed` when it will not
 * come back by itself.
 */
export type State = "idle" | "connecting" | "open" | "waiting" | "closed";

/** A change of state, with what led to it. */
export interface StateChange {
  state: State;
  /** The close code of the connection that ended, where one did. */
  code?: number | undefined;
  /** The slug beside it: `kicked`, `token_expired` … */
  reason?: string | undefined;
  /** The server's words for people, where it sent some. */
  message?: string | undefined;
  /** While `waiting`: in how many ms the next attempt begins. None while the page is hidden in the browser's history. */
  retryInMs?: number | undefined;
}

/** What `on` listens to. */
export interface Events<UserData = Json> {
  /** Every push, also those of channels. */
  push: Push;
  /** The client's state changed. */
  state: StateChange;
  /** A connection is open. */
  welcome: Welcome;
  /**
   * After a reconnect: whether everything missed meanwhile follows. `false` means that pushes may be lost, and that the
   * application should fetch its state afresh.
   */
  resumed: boolean;
  /** The server ended the connection: a kick-out, a ban, a log-out, a login elsewhere. */
  kicked: Kicked;
  /** The server ended the connection for another reason. */
  goodbye: Goodbye;
  /** The server dropped pushes, because this client read too slowly. */
  gap: Gap;
  /** Each presence frame as it came; `presence(channel)` and `watch` keep the books. */
  presence: PresenceFrame<UserData>;
  /** Something failed that no promise tells: a subscription that was refused, a `getToken` that threw. */
  error: HerenowError;
}

/** The part of a WebSocket that the client uses; the browser's, Node 22's and `ws`'s are one. */
export interface WebSocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** Makes a socket. */
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** Brings pushes while no socket opens: it watches the client's state, and hands over what it hears. `herenow/sse` has one. */
export type Fallback = (client: Pick<Herenow<any>, "on">, heard: (frame: Push | Kicked | Goodbye) => void) => void;

/** The settings of a client; every one may be left out. */
export interface Options {
  /** The token, where it never changes. */
  token?: string | undefined;
  /**
   * Fetches a token: for the first connection (unless `token` is there), shortly before its time is over, and when the
   * server refuses it. Throw `UnauthorizedError` when the user has to log in again; any other error is tried again later.
   */
  getToken?: (() => string | Promise<string>) | (() => void | Promise<void>) | undefined;
  /** The cookie says who the user is: no token is sent. `getToken` then renews the cookie; what it returns is ignored. Default: `false`. */
  cookies?: boolean | undefined;
  /**
   * Where the token stands: `false` in the upgrade, as a subprotocol; `true` in the first message; `"auto"` in the upgrade
   * unless it is too long for a header (over 2 KiB). Default: `"auto"`.
   */
  firstMessage?: boolean | "auto" | undefined;
  /** A label of this device, at most 64 bytes; used where the token says none. */
  device?: string | undefined;
  /** What others see beside the user's id, used where the token says nothing and the server allows it. */
  data?: Json;
  /** Which software this is, at most 64 bytes. */
  client?: string | undefined;
  /** Connects without a call of `connect()`, once the current task is done. Default: `false`. */
  autoConnect?: boolean | undefined;
  /** The socket's class. Default: `globalThis.WebSocket`. */
  WebSocket?: WebSocketClass | undefined;
  /** Between attempts, in ms: random between a fifth of `min` and `min * 2^n`, at most `max`. Default: `{ min: 500, max: 20_000 }`. */
  backoff?: { min?: number; max?: number } | undefined;
  /**
   * When a page counts as away, in ms: after the tab was hidden for `hidden`, or nobody touched the page for `idle`; 0 =
   * never. `false` switches both off. Default: `{ hidden: 10_000, idle: 300_000 }`. Without a `document` nothing is watched.
   */
  away?: { hidden?: number; idle?: number } | false | undefined;
  /** From the start of an attempt, the token's fetch included, to `welcome`, in ms. Default: 15_000. */
  connectTimeout?: number | undefined;
  /** How long a request waits for its reply, in ms, the time until there is a connection included. Default: 10_000. */
  requestTimeout?: number | undefined;
  /**
   * How many requests and messages wait for a connection at most; the next one is rejected with `buffer_full`, as it is
   * while over 1 MiB waits in the socket. Default: 64.
   */
  bufferSize?: number | undefined;
  /** Brings pushes while no socket opens; see `herenow/sse`. */
  fallback?: Fallback | undefined;
  /** A number from 0 up to 1. Default: `Math.random`. */
  random?: (() => number) | undefined;
  /** The time in ms. Default: `Date.now`. */
  now?: (() => number) | undefined;
}

/** What `subscribe` returns. */
export interface Subscription {
  /**
   * Resolves when the server has confirmed it, rejects when it refuses for good. A refusal is an `error` event, too, so
   * nobody has to wait for this.
   */
  readonly ready: Promise<void>;
  /** Ends it; the channel is left with the last subscription to it. A second call does nothing. */
  unsubscribe(): void;
}

/** What `watch` returns. */
export interface Watch {
  /** Resolves when the first statuses are there, rejects when the server refuses for good. */
  readonly ready: Promise<void>;
  /** Ends it. A second call does nothing. */
  unwatch(): void;
}

/** How a watched user is. */
export interface UserStatus<UserData = Json> {
  id: string;
  status: Status;
  /** When an offline user was last there, in ms since 1970. */
  lastSeen?: number | undefined;
  /** Of an event; a first status has none. */
  data?: UserData | undefined;
  cause?: PresenceCause | undefined;
  time?: number | undefined;
}

/** What `hereNow` asks. */
export interface HereNowRequest {
  /** At most 100. */
  channels: string[];
  /** Lists the users. Default: `false`. */
  includeUsers?: boolean | undefined;
  /** Each user once, not once per client. Default: `false`. */
  distinct?: boolean | undefined;
  /** How many users are listed per channel. Default: the server's. */
  limit?: number | undefined;
}

/** How a message is sent. */
export interface SendOptions {
  /** The channel it is about. */
  channel?: string | undefined;
  /** Waits for the handler's reply. Default: `false`. */
  reply?: boolean | undefined;
}

/** Hears of a member. `event` is what the server said; it is missing where the list was compared with a fresh one. */
export type MemberListener<UserData = Json> = (member: Member<UserData>, event: PresenceEvent<UserData> | undefined) => unknown;

/** Who is in a channel, kept up to date: what `presence` returns. */
export interface Presence<UserData = Json> {
  /** The channel's name. */
  readonly channel: string;
  /** Resolves with the first list, rejects when the server refuses for good. */
  readonly ready: Promise<void>;
  /** How many users there are. */
  readonly userAmount: number;
  /** How many connections they have. */
  readonly clientAmount: number;
  /** There are too many users to list them: `list()` is empty, and the amounts are all there is. */
  readonly more: boolean;
  /** The members of now. */
  list(): Member<UserData>[];
  /** Somebody is here: each member of the first list, and whoever comes later. Returns what ends it. */
  onJoin(listener: MemberListener<UserData>): () => void;
  /** Somebody is gone, by leaving the channel or by losing the connection. Returns what ends it. */
  onLeave(listener: MemberListener<UserData>): () => void;
  /** The list, a member's status or the amounts may be others: the time to draw them. Returns what ends it. */
  onSync(listener: () => unknown): () => void;
  /** Ends the feed, once it was called as often as `presence(channel)`. */
  leave(): void;
}
