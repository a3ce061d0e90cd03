/**
 * The messages of `herenow.v1.json` (`docs/PROTOCOL.md`), as types. Times and durations are integers in milliseconds,
 * times since 1970. The server may add fields and types; a client ignores what it does not know.
 *
 * @module
 */

/** Any JSON value: what it holds is between the application's server and its pages. */
export type Json = unknown;

// ---- Client to server ------------------------------------------------------------------------------------------------

/** The first message of a connection; `welcome` answers it. */
export interface HelloFrame {
  type: "hello";
  /** The credential, where the upgrade could not carry it. */
  token?: string;
  /** A label of the device, at most 64 bytes; used only where the identity has none. */
  device?: string;
  /** What others see beside the user's id, at most 4 KiB of JSON; used only where the server allows it. */
  data?: Json;
  /** Goes on where an earlier connection ended. */
  resume?: { token: string; seq: number };
  /** Which software this is, at most 64 bytes. */
  client?: string;
}

/** A new token for the same user, before the old one's time is over. */
export interface AuthFrame {
  type: "auth";
  id: number;
  token: string;
}

/** A request about one channel. */
export interface ChannelFrame {
  type: "subscribe" | "unsubscribe" | "subscribePresence" | "unsubscribePresence";
  id: number;
  channel: string;
}

/** Who is in these channels right now? */
export interface HereNowFrame {
  type: "hereNow";
  id: number;
  channels: string[];
  includeUsers?: boolean;
  distinct?: boolean;
  limit?: number;
}

/** Presence of single users: a buddy list. */
export interface WatchFrame {
  type: "watch" | "unwatch";
  id: number;
  users: string[];
}

/** The status of this connection. */
export interface StatusFrame {
  type: "status";
  status: string;
}

/** How many pushes have come, counted as `welcome.seq` begins. */
export interface AckFrame {
  type: "ack";
  seq: number;
}

/** To a channel's subscribers. */
export interface PublishFrame {
  type: "publish";
  id: number;
  channel: string;
  data: Json;
}

/** To the application's handler; with an `id`, a reply is wanted. */
export interface MessageFrame {
  type: "message";
  id?: number;
  data: Json;
  channel?: string;
}

/** Whatever a client says. */
export type ClientFrame =
  | HelloFrame
  | AuthFrame
  | ChannelFrame
  | HereNowFrame
  | WatchFrame
  | StatusFrame
  | AckFrame
  | PublishFrame
  | MessageFrame
  | { type: "ping" }
  | { type: "pong" };

/** A frame that is answered with `reply`; the client chooses the `id`. */
export type RequestFrame = Extract<ClientFrame, { id?: number }>;

// ---- Server to client ------------------------------------------------------------------------------------------------

/** Always the first message of a connection. */
export interface Welcome {
  type: "welcome";
  /** The connection's id: no secret. */
  connection: string;
  /** The user's login id. */
  user: string;
  /** What resumes the stream after a reconnect: a secret. None where the server keeps nothing. */
  resumeToken?: string;
  /** Whether this connection goes on where an earlier one ended. */
  resumed: boolean;
  /** How many pushes the stream has had; counting goes on from here. */
  seq: number;
  /** When the token's time is over, in ms from now; none where it has no end. */
  expiresIn?: number;
  /** The server's clock. */
  serverTime: number;
  /** The server says something at least every `interval`, and gives an answer `timeout` to come, both in ms. */
  heartbeat: { interval: number; timeout: number };
  /** The largest frame it takes, in bytes, and how many channels one connection may subscribe to. */
  limits: { maxFrame: number; maxChannels: number };
}

/** The words for what went wrong; the server may add some. */
export type ErrorCode =
  | "unauthorized"
  | "token_expired"
  | "forbidden"
  | "origin_denied"
  | "bad_frame"
  | "unknown_type"
  | "unknown_channel"
  | "already_subscribed"
  | "not_subscribed"
  | "limit_exceeded"
  | "too_many_requests"
  | "not_available"
  | "timeout"
  | "internal"
  | (string & {});

/** Why a request was refused. */
export interface WireError {
  code: ErrorCode;
  message: string;
  /** Whether the same request may succeed later. */
  temporary: boolean;
  retryAfterMs?: number;
}

/** The answer to a request: `result`, which may be `null`, or `error`. */
export interface Reply {
  type: "reply";
  id: number;
  result?: Json;
  error?: WireError;
}

/** A pushed message. */
export interface Push<Data = Json> {
  type: "push";
  /** The message's id (UUIDv7), the same for every receiver. */
  mid: string;
  /** `text`, `binary`, `notification`, `kickOut` or a word of the application's. */
  kind: string;
  /** The channel it was published to; none where it was pushed to users. */
  channel?: string;
  /** Text as a string, JSON as it is, bytes as base64 (see `encoding`). */
  data: Data;
  encoding?: "base64";
  time: number;
  metadata?: Record<string, string>;
  /** The server waits to hear that it came; the client acknowledges it at once. */
  ack?: boolean;
}

/** `online`, `away` or a word of the application's own. */
export type Status = "online" | "away" | "offline" | (string & {});

/** A member of a channel. */
export interface Member<UserData = Json> {
  id: string;
  /** What the identity or the client's `data` says; `""` where there is none. */
  data: UserData;
  status: Status;
}

/** Everybody in a channel, as of `ver`. */
export interface PresenceState<UserData = Json> {
  type: "presenceState";
  channel: string;
  ver: number;
  clientAmount: number;
  userAmount: number;
  users: Member<UserData>[];
  /** There are too many users to list: the amounts are all there is. */
  more: boolean;
}

/** What happened: see section 3 of the protocol. */
export type PresenceAction = "join" | "leave" | "online" | "offline" | "update";

/** Why it happened; the server may add words. */
export type PresenceCause =
  | "subscribe"
  | "unsubscribe"
  | "connect"
  | "reconnect"
  | "disconnect"
  | "timeout"
  | "kicked"
  | "replaced"
  | "expired"
  | "shutdown"
  | "status"
  | (string & {});

/** One change of one user. */
export interface PresenceEvent<UserData = Json> {
  action: PresenceAction;
  cause: PresenceCause;
  user: { id: string; data: UserData };
  status: Status;
  /** When an offline user was last there. */
  lastSeen?: number;
  time: number;
}

/** What changed in a channel since the last `ver`. */
export interface ChannelPresence<UserData = Json> {
  type: "presence";
  channel: string;
  ver: number;
  clientAmount: number;
  userAmount: number;
  /** In order; none where a channel has too many users to name them. */
  events: PresenceEvent<UserData>[];
}

/** What happened to a watched user. */
export interface WatchedPresence<UserData = Json> {
  type: "presence";
  channel?: never;
  events: PresenceEvent<UserData>[];
}

/** A `presence` frame: of a channel, or of a watched user. */
export type PresenceFrame<UserData = Json> = ChannelPresence<UserData> | WatchedPresence<UserData>;

/** The end by a kick-out, a ban, a log-out or a login elsewhere. */
export interface Kicked {
  type: "kicked";
  code: number;
  /** A slug. */
  reason: string;
  /** For people. */
  message: string;
  reconnect: boolean;
}

/** Any other end that the server chooses. */
export interface Goodbye {
  type: "goodbye";
  code: number;
  reason: string;
  reconnect: boolean;
  reconnectInMs?: number;
}

/** Stands in the place of `count` pushes that were dropped because this client read too slowly. */
export interface Gap {
  type: "gap";
  count: number;
}

/** Something is wrong that is not tied to a request. */
export interface ErrorFrame {
  type: "error";
  code: ErrorCode;
  message: string;
}

/** Whatever the server says. */
export type ServerFrame<UserData = Json> =
  | Welcome
  | Reply
  | Push
  | PresenceState<UserData>
  | PresenceFrame<UserData>
  | Kicked
  | Goodbye
  | Gap
  | ErrorFrame
  | { type: "authExpiring"; expiresIn: number }
  | { type: "ping" }
  | { type: "pong" };

/** One channel of a `hereNow` answer. */
export interface HereNowChannel<UserData = Json> {
  channel: string;
  clientAmount: number;
  userAmount: number;
  /** Where `includeUsers` asked for them; without `distinct` a user appears once per client. */
  users?: { id: string; data: UserData }[];
}

/** The body of a `hereNow` answer, the same over the socket and over REST. */
export interface HereNowBody<UserData = Json> {
  code: 200;
  content: { channels: Record<string, HereNowChannel<UserData>> };
}

/** A watched user, as the reply to `watch` tells it. */
export interface WatchedUser {
  id: string;
  status: Status;
  lastSeen?: number;
}
