import { credential, type Tokens } from "./auth.js";
import { backoff } from "./backoff.js";
import { adviceOf } from "./codes.js";
import { connection, type Connection } from "./connection.js";
import { deferred } from "./deferred.js";
import { HerenowError } from "./errors.js";
import type { ClientFrame, Goodbye, HelloFrame, Kicked, ServerFrame, Welcome } from "./protocol.js";
import type { Options, State, StateChange } from "./types.js";

/** What the lifecycle asks and tells the client. */
export interface LifecycleEvents {
  /** What to say first, besides the token. */
  hello(): object;
  /** A frame came that is none of the lifecycle's own. */
  heard(frame: ServerFrame): void;
  /** There is a connection; no listener knows yet. */
  opened(welcome: Welcome): void;
  /** There is none any more; `isFinal`: and there will be none. */
  lost(isFinal: boolean): void;
  changed(change: StateChange): void;
  failed(error: HerenowError): void;
}

/** What everybody may see of it. */
export interface Standing {
  state: State;
  /** The first frame of the connection that is open. */
  welcome: Welcome | undefined;
}

type Farewell = Partial<Pick<Kicked & Omit<Goodbye, "type">, "code" | "reason" | "message" | "reconnect" | "reconnectInMs">>;
type End = Pick<StateChange, "code" | "reason" | "message">;

/** From one connection to the next: when to try, with which token, and when to stop. */
export function lifecycle(
  self: Standing,
  url: string,
  options: Options,
  tokens: Tokens,
  now: () => number,
  { hello, heard, opened, lost, changed, failed }: LifecycleEvents,
) {
  const waits = backoff(options.backoff, options.random);
  let current: Connection | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** What an older attempt still brings is not looked at. */
  let attempt = 0;
  let hasRefreshed = false;
  let opening = deferred<Welcome>();
  /** What the server said about the end of the connection before it ended; `reconnect` in it rules. */
  let farewell: Farewell = {};
  /** When `welcome` came, by our clock. */
  let since = Infinity;

  const become = (change: StateChange) => {
    self.state = change.state;
    changed(change);
  };

  const drop = (isFinal = false, code?: number) => {
    clearTimeout(timer);
    attempt++;
    farewell = {};
    since = Infinity;
    if (self.welcome) opening = deferred();
    self.welcome = undefined;
    current?.close(code);
    current = undefined;
    lost(isFinal);
  };

  const dial = async () => {
    drop();
    const mine = attempt;
    timer = setTimeout(ended, options.connectTimeout ?? 15_000, 1006, "timeout");
    become({ state: "connecting" });
    try {
      const token = await tokens.get();
      if (mine === attempt) open(token);
    } catch (cause) {
      if (mine === attempt && !tokenFailed(cause)) ended(1006, "token_failed");
    }
  };

  const open = (secret: string | undefined) => {
    const { WebSocket = globalThis.WebSocket as Options["WebSocket"] } = options;
    const { protocols, token } = credential(secret, options.firstMessage);
    try {
      const socket = new WebSocket!(url, protocols);
      current = connection(socket, { type: "hello", token, ...hello() } as HelloFrame, received, ended);
    } catch (cause) {
      stop({ reason: "no_socket", message: `${WebSocket ? cause : "pass a WebSocket as an option"}` });
    }
  };

  const received = (frame: ServerFrame) => {
    const { send, start } = current!;
    if (frame.type === "ping") send({ type: "pong" });
    if ("reconnect" in frame) farewell = { ...farewell, ...frame };
    if (self.welcome) heard(frame);
    else if (frame.type === "error") farewell = { reason: frame.code, message: frame.message };
    else if (frame.type === "welcome") {
      clearTimeout(timer);
      self.welcome = frame;
      hasRefreshed = false;
      since = now();
      start(frame.heartbeat.interval + frame.heartbeat.timeout);
      tokens.endsIn(frame.expiresIn);
      opened(frame);
      opening.fulfil(frame);
      become({ state: "open" });
    }
  };

  const ended = (closeCode: number, closeReason: string) => {
    const { code = closeCode, reason = closeReason, message, reconnect, reconnectInMs = 0 } = farewell;
    if (now() - since > waits.longest) waits.reset();
    drop();

    const end = { code, reason, message };
    let advice = adviceOf(code);
    if (reconnect && advice === "stop") advice = "backOff";
    const isOnce = advice === "refreshOnce";
    if (isOnce || advice === "refreshToken") {
      advice = tokens.spoil() && !(isOnce && hasRefreshed) ? "atOnce" : "stop";
      hasRefreshed ||= isOnce;
    }
    if (advice === "stop" || reconnect === false) return stop(end);

    const retryInMs = Math.max(reconnectInMs, waits.delay(advice === "atOnce" || reconnectInMs > 0));
    timer = setTimeout(dial, retryInMs);
    become({ state: "waiting", retryInMs, ...end });
  };

  /** Ends it for good. */
  const stop = (end: End, error = new HerenowError(end.reason || "closed", end.message || `closed with ${end.code}`), code?: number) => {
    drop(true, code);
    waits.reset();
    hasRefreshed = false;
    opening.refuse(error);
    opening = deferred();
    become({ state: "closed", ...end });
  };

  /** `getToken` threw; returns whether that is the end. */
  const tokenFailed = (cause: any) => {
    const isFinal = cause?.name === "UnauthorizedError";
    const error = new HerenowError(isFinal ? "unauthorized" : "token_failed", `${cause}`, !isFinal);
    if (isFinal) stop({ reason: error.code, message: error.message }, error);
    else failed(error);
    return isFinal;
  };

  return {
    stop,
    tokenFailed,
    connect(): Promise<Welcome> {
      const { promise } = opening;
      if (self.state !== "connecting" && !self.welcome) dial();
      return promise;
    },
    /** Now is a good time: a wait is over, and an open connection is asked whether it still is one. */
    hurry(): void {
      if (self.state === "waiting") dial();
      else if (self.welcome) current!.ask();
    },
    /** Lets go of the socket until `hurry`. */
    hide(): void {
      drop();
      become({ state: "waiting" });
    },
    send(frame: ClientFrame): void {
      if (self.welcome) current!.send(frame);
    },
    /** The socket that may be written to. */
    socket: () => (self.welcome && current!.socket.readyState === 1 ? current!.socket : undefined),
  };
}
