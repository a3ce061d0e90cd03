import type { ErrorCode } from "./protocol.js";

/** Words for what goes wrong on this side of the wire. */
export type LocalCode =
  /** The connection ended before the answer came: it may or may not have been done. */
  | "disconnected"
  /** The client is closed. */
  | "closed"
  /** Too much waits to be sent. */
  | "buffer_full"
  /** There is no `WebSocket` here, or none can be made. */
  | "no_socket"
  /** `getToken` failed. */
  | "token_failed";

/** A request that failed, or whatever else the server or the connection had to say. */
export class HerenowError extends Error {
  /** For programs: a word of the protocol, or one of this client's own. */
  declare readonly code: ErrorCode | LocalCode;
  /** Whether the same may succeed later. */
  declare readonly temporary: boolean;
  /** How long to wait before that, in ms, where the server says it. */
  declare readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode | LocalCode, message: string, temporary = false, retryAfterMs?: number) {
    super(message);
    Object.assign(this, { name: "HerenowError", code, temporary, retryAfterMs });
  }
}

/** Thrown by `getToken`: the user has to log in again, and the client stops. */
export class UnauthorizedError extends Error {
  override readonly name = "UnauthorizedError";
}
