import type { ClientFrame, HelloFrame, ServerFrame } from "./protocol.js";
import type { WebSocketLike } from "./types.js";
import { watchdog } from "./watchdog.js";

/** Ends a connection that may come back: 1000 would mean that the user left, and others would be told at once. */
const COMING_BACK = 4100;

export type Connection = ReturnType<typeof connection>;

/** One socket, from its making to its end, which is told once. */
export function connection(
  socket: WebSocketLike,
  hello: HelloFrame,
  heard: (frame: ServerFrame) => void,
  ended: (code: number, reason: string) => void,
) {
  let isOver = false;
  /** Nothing is sent to a socket that is not open yet, or not any more. */
  const send = (frame: ClientFrame) => {
    if (socket.readyState === 1) socket.send(JSON.stringify(frame));
  };
  /** Ends it; nothing is heard of it any more. */
  const close = (code = COMING_BACK) => {
    if (isOver) return;
    isOver = true;
    watch.stop();
    socket.close(code);
  };
  const end = (code: number, reason: string) => {
    if (isOver) return;
    close();
    ended(code, reason);
  };
  const watch = watchdog(() => send({ type: "ping" }), () => end(1006, "silent"));

  socket.onopen = () => send(hello);
  socket.onmessage = ({ data }) => {
    if (isOver) return;
    watch.heard();
    try {
      const frame = JSON.parse(data);
      if (frame instanceof Object) heard(frame);
    } catch {
      // It is none of the protocol's frames. What listeners throw is reported where they are called.
    }
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  socket.onerror = () => {}; // `close` follows, and says as much.
  const { start, ask } = watch;
  return { socket, send, close, start, ask };
}
