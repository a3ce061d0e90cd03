/**
 * Pushes as server-sent events, where no WebSocket can be opened: beside a client, or alone.
 *
 * ```ts
 * const client = new Herenow("/ws", { cookies: true, fallback: sse("/presence/events") });
 * client.on("push", ({ data }) => console.log(data)); // however it came
 * ```
 *
 * @module
 */

import { backoff } from "./backoff.js";
import { listeners } from "./emitter.js";
import type { Fallback, ServerFrame, State } from "./index.js";
import { watchdog } from "./watchdog.js";

/** From this failed attempt on, the stream is opened. */
const ATTEMPTS = 3;

/** The part of an `EventSource` that is used. */
export interface EventSourceLike {
  readonly readyState: number;
  onmessage: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  close(): void;
}

/** The settings of a stream. */
export interface EventStreamOptions {
  /** Fetches a one-time ticket (`POST …/ticket`) for each attempt. Without it the cookie says who the user is. */
  getTicket?: (() => string | Promise<string>) | undefined;
  /** Sends cookies to another origin. Default: `false`. */
  withCredentials?: boolean | undefined;
  /** The class of streams. Default: `globalThis.EventSource`. */
  EventSource?: (new (url: string, options: { withCredentials: boolean }) => EventSourceLike) | undefined;
  /** Between attempts, in ms, as in a client. Default: `{ min: 500, max: 20_000 }`. */
  backoff?: { min?: number; max?: number } | undefined;
  /** A number from 0 up to 1. Default: `Math.random`. */
  random?: (() => number) | undefined;
}

/** What `on` listens to: each frame by its type, and the state. */
export type StreamEvents = { [Type in ServerFrame["type"]]: Extract<ServerFrame, { type: Type }> } & { state: State };

/** A stream of pushes that comes back by itself. Nothing is said to the server over it. */
export class EventStream {
  /** Where the stream stands. */
  readonly state: State = "idle";
  readonly #url: string;
  readonly #options: EventStreamOptions;
  readonly #events = listeners<[string, any]>();
  readonly #waits: ReturnType<typeof backoff>;
  // A stream is told nothing: one that was silent for too long is opened anew.
  readonly #watch = watchdog(() => {}, () => this.#later());
  #source: EventSourceLike | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #since = Infinity;

  /** @param url The address of `…/events`: relative to the page, or absolute. */
  constructor(url: string | { readonly href: string }, options: EventStreamOptions = {}) {
    this.#url = new URL(url as string, globalThis.location?.href).href;
    this.#options = options;
    this.#waits = backoff(options.backoff, options.random);
  }

  /** Listens to an event until the returned function is called. */
  on<Type extends keyof StreamEvents>(type: Type, listener: (event: StreamEvents[Type]) => unknown): () => void {
    return this.#events.on((which, event) => which === type && listener(event));
  }

  /** Opens the stream, unless it is open or on its way. */
  connect(): void {
    if (this.state === "idle" || this.state === "closed") void this.#open();
  }

  /** Ends it. */
  close(): void {
    if (this.state === "idle" || this.state === "closed") return;
    this.#drop();
    this.#waits.reset();
    this.#become("closed");
  }

  async #open(): Promise<void> {
    const { getTicket, EventSource = globalThis.EventSource, withCredentials = false } = this.#options;
    const attempt = this.#drop();
    this.#become("connecting");
    try {
      const url = new URL(this.#url);
      if (getTicket) url.searchParams.set("ticket", await getTicket());
      if (attempt !== this.#attempt) return;
      const source = (this.#source = new EventSource(url.href, { withCredentials }));
      source.onmessage = ({ data }: { data: string }) => attempt === this.#attempt && this.#heard(data);
      source.onerror = () => {
        // With a cookie a browser comes back by itself, unless it was refused; a ticket serves once.
        if (attempt === this.#attempt && (getTicket || source.readyState === 2)) this.#later();
      };
    } catch (cause: any) {
      if (attempt !== this.#attempt) return;
      if (cause?.name === "UnauthorizedError" || !EventSource) this.close();
      else this.#later();
    }
  }

  #heard(data: string): void {
    this.#watch.heard();
    let frame: ServerFrame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (!(frame instanceof Object)) return;
    if (frame.type === "welcome") {
      this.#since = Date.now();
      this.#watch.start(frame.heartbeat.interval + frame.heartbeat.timeout);
      this.#become("open");
    }
    if ((frame.type as string) !== "state") this.#events.emit(frame.type, frame);
    if (!("reconnect" in frame)) return;
    if (!frame.reconnect) this.close();
    else if (this.#options.getTicket) this.#later((frame as { reconnectInMs?: number }).reconnectInMs);
  }

  #later(least = 0): void {
    if (Date.now() - this.#since > this.#waits.longest) this.#waits.reset();
    this.#drop();
    this.#timer = setTimeout(() => void this.#open(), Math.max(least, this.#waits.delay()));
    this.#become("waiting");
  }

  #drop(): number {
    clearTimeout(this.#timer);
    this.#watch.stop();
    this.#source?.close();
    this.#source = undefined;
    this.#since = Infinity;
    return ++this.#attempt;
  }

  #become(state: State): void {
    (this as { state: State }).state = state;
    this.#events.emit("state", state);
  }
}

/**
 * A {@link Fallback} for a client: after three attempts without a socket the stream is opened, while the client goes on
 * trying; when a socket opens, or the client stops, the stream ends. In the moment between, a push may come twice, with
 * the same `mid`.
 */
export function sse(url: string | { readonly href: string }, options?: EventStreamOptions): Fallback {
  return (client, heard) => {
    const stream = new EventStream(url, options);
    let failures = 0;
    for (const type of ["push", "kicked", "goodbye"] as const) stream.on(type, heard);
    client.on("state", ({ state, reason }) => {
      if (state === "open" || state === "closed") failures = 0;
      if (state === "waiting") failures++;
      if (reason === "no_socket") failures = ATTEMPTS;
      if (failures >= ATTEMPTS) stream.connect();
      else stream.close();
    });
  };
}
