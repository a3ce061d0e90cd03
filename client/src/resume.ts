import type { AckFrame, HelloFrame, Welcome } from "./protocol.js";

/** An `ack` goes out after so many pushes … */
const EVERY = 16;
/** … or so many ms after one, whichever is first. */
const AFTER = 3_000;

/**
 * The place in the stream. A push carries no number: both sides count, from `welcome.seq` on, and `ack` and
 * `hello.resume` name the count.
 */
export function resume(send: (frame: AckFrame) => void) {
  let token: string | undefined;
  let seq = 0;
  let said = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const ack = () => {
    pause();
    said = seq;
    send({ type: "ack", seq });
  };
  return {
    /** What `hello` asks for, where there is something to go on with. */
    wanted: (): HelloFrame["resume"] => (token ? { token, seq } : undefined),
    welcome(welcome: Welcome): void {
      token = welcome.resumeToken;
      seq = said = welcome.seq;
    },
    /** So many more came. `isAsked`: the server waits to hear of it. */
    count(pushes: number, isAsked?: boolean): void {
      seq += pushes;
      if (isAsked || (token && seq - said >= EVERY)) ack();
      else if (token) timer ??= setTimeout(ack, AFTER);
    },
    /** The connection ended: there is nobody to acknowledge to. */
    pause,
    /** There is nothing to come back to. */
    forget(): void {
      token = undefined;
    },
  };
}
