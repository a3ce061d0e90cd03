import { byteLength } from "./auth.js";
import { HerenowError } from "./errors.js";
import type { Reply } from "./protocol.js";
import type { Options, WebSocketLike } from "./types.js";

/** While more bytes than this wait in the socket, the network does not keep up, and nothing is added. */
const MAX_BUFFERED = 1 << 20;

const CLOSED = ["closed", "the client is closed"] as const;

interface Pending {
  /** What to send; `undefined` once it is sent. */
  unsent: string | undefined;
  isAnswered: boolean;
  timer: ReturnType<typeof setTimeout>;
  fulfil(result?: any): void;
  refuse(error: HerenowError): void;
}

export type Requests = ReturnType<typeof requests>;

/**
 * Requests and their answers. Without a connection a bounded number of them waits for one; an answer that does not come in
 * time, or whose connection ended, is a rejection. `getSocket` returns the socket that may be written to, if any.
 */
export function requests(
  { requestTimeout = 10_000, bufferSize = 64 }: Options,
  getSocket: () => WebSocketLike | undefined,
) {
  const all = new Map<number, Pending>();
  let next = 1;
  let maxFrame = 65_536;
  let isClosed = false;

  const take = (id: number) => {
    const pending = all.get(id);
    clearTimeout(pending?.timer);
    all.delete(id);
    return pending;
  };
  const fail = (id: number, ...error: ConstructorParameters<typeof HerenowError>) => take(id)?.refuse(new HerenowError(...error));
  const write = (id: number, pending: Pending, socket: WebSocketLike) => {
    socket.send(pending.unsent!);
    pending.unsent = undefined;
    if (!pending.isAnswered) take(id)!.fulfil();
  };
  const waiting = () => [...all.values()].filter(({ unsent }) => unsent).length;

  return {
    /**
     * Sends it, now or when there is a connection. Resolves with the result; where no answer is wanted, once it is sent.
     * `heard` gets the result before the next frame is looked at: a promise tells later, where frames come in one go.
     */
    ask: (frame: object, isAnswered = true, heard?: (result: any) => void) => new Promise<any>((resolve, refuse) => {
      const id = next++;
      const text = JSON.stringify(isAnswered ? { ...frame, id } : frame);
      if (isClosed) throw new HerenowError(...CLOSED);
      if (byteLength(text) > maxFrame) throw new HerenowError("limit_exceeded", `over ${maxFrame} bytes`);
      const socket = getSocket();
      if (socket ? socket.bufferedAmount > MAX_BUFFERED : waiting() >= bufferSize) throw new HerenowError("buffer_full", "too much waits to be sent", true);
      const timer = setTimeout(() => fail(id, "timeout", "no answer", true), requestTimeout);
      const fulfil = (result: any) => {
        resolve(result);
        heard?.(result);
      };
      const pending = { unsent: text, isAnswered, timer, fulfil, refuse };
      all.set(id, pending);
      if (socket) write(id, pending, socket);
    }),
    /** The answer to one of them; an answer that nobody waits for is ignored. */
    settle({ id, result, error }: Reply): void {
      if (error) fail(id, error.code, error.message, error.temporary, error.retryAfterMs);
      else take(id)?.fulfil(result);
    },
    /** There is a connection: what waited goes out, in order. */
    flush(limit: number): void {
      maxFrame = limit;
      const socket = getSocket();
      for (const [id, pending] of all) if (socket && pending.unsent) write(id, pending, socket);
    },
    /** The connection ended: what was under way fails; what waits fails only where there will be no other connection. */
    lost(isFinal: boolean): void {
      isClosed = isFinal;
      for (const [id, { unsent }] of all) {
        if (!unsent) fail(id, "disconnected", "the connection ended", true);
        else if (isFinal) fail(id, ...CLOSED);
      }
    },
  };
}
