import { core } from "./core.js";
import type { HereNowBody, Json, Push, Status, Welcome } from "./protocol.js";
import type { Events, HereNowRequest, Options, Presence, SendOptions, State, Subscription, UserStatus, Watch } from "./types.js";

/**
 * A connection to a herenow server that comes back by itself.
 *
 * ```ts
 * const client = new Herenow("/ws", { getToken: () => fetch("/token").then((answer) => answer.text()) });
 * client.on("push", ({ kind, data }) => console.log(kind, data));
 * await client.connect();
 * ```
 *
 * `UserData` is what your server says about a user beside the id. The methods are bound: `const { on } = client` works.
 */
export class Herenow<UserData = Json> {
  /** Where the client stands. */
  readonly state: State = "idle";

  /** The first frame of the connection that is open; `undefined` without one. */
  readonly welcome: Welcome | undefined;

  /**
   * Connects, and keeps connecting. While the client waits for its next attempt, the next one begins now.
   *
   * Resolves with the `welcome` of the connection. Rejects with a {@link HerenowError} when the client stops before: it
   * was refused, kicked or closed. A rejection that nobody hears is no error of its own: the `state` event tells, too.
   */
  declare readonly connect: () => Promise<Welcome>;

  /**
   * Ends the connection for good: others see the user as offline at once, and requests under way are rejected.
   * Subscriptions, feeds and watches are kept for another `connect()`.
   */
  declare readonly close: () => void;

  /** Listens to an event until the returned function is called. What a listener throws is reported, and breaks nothing. */
  declare readonly on: <Type extends keyof Events<UserData>>(type: Type, listener: (event: Events<UserData>[Type]) => unknown) => () => void;

  /** Receives a channel's pushes, on this connection and on every one that follows it. */
  declare readonly subscribe: (channel: string, onPush?: (push: Push) => unknown) => Subscription;

  /** Sends to a channel's subscribers, oneself included where subscribed. Resolves with how many connections it was for. */
  declare readonly publish: (channel: string, data: Json) => Promise<{ matched: number }>;

  /**
   * Sends to the application's handler on the server. Resolves once it is handed to the socket or, with `reply`, with the
   * handler's answer.
   *
   * Rejects with `buffer_full` where too much waits already, and as every request does: with `timeout`, with
   * `disconnected` when the connection ended before the answer, with the server's refusal.
   */
  declare readonly send: <Result = Json>(data: Json, options?: SendOptions) => Promise<Result>;

  /** Who is in a channel, kept up to date. The same object for the same channel, until `leave()` was called as often. */
  declare readonly presence: (channel: string) => Presence<UserData>;

  /**
   * Hears how each of these users is, now and whenever it changes, until `unwatch()`. One call is one frame: for more ids
   * than fit into `welcome.limits.maxFrame`, call it several times.
   */
  declare readonly watch: (users: Iterable<string>, listener: (status: UserStatus<UserData>) => unknown) => Watch;

  /** Who is in these channels right now. */
  declare readonly hereNow: (request: HereNowRequest) => Promise<HereNowBody<UserData>["content"]>;

  /** How the user is: `online`, `away`, or a word of 1 to 32 bytes. Said on every connection, until it is another. */
  declare readonly status: (word: Status) => void;

  /**
   * @param url The socket's address: relative to the page, or absolute with `ws`, `wss`, `http` or `https`.
   * @throws TypeError when it is no address.
   */
  constructor(url: string | { readonly href: string }, options: Options = {}) {
    const { methods, overheard } = core<UserData>(this, url, options);
    Object.assign(this, methods);
    options.fallback?.(this, overheard);
    if (options.autoConnect) queueMicrotask(this.connect);
  }
}
