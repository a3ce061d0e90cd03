/**
 * The client of herenow: presence, push and kick-out over one WebSocket that comes back by itself.
 *
 * @module
 */

export { Herenow } from "./client.js";
export { HerenowError, UnauthorizedError, type LocalCode } from "./errors.js";
export { adviceOf, type Advice } from "./codes.js";
export type * from "./protocol.js";
export type * from "./types.js";
