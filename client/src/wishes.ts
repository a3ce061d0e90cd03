import { deferred, type Deferred } from "./deferred.js";
import type { HerenowError } from "./errors.js";
import type { Requests } from "./requests.js";

/** What should hold on every connection: a subscription, a presence feed, a watch. */
export interface Wish {
  /** Asks for it; `un…` takes it back. */
  frame: { type: "subscribe" | "subscribePresence" | "watch"; channel?: string; users?: string[] };
  /** Told once: granted, or refused for good. */
  ready: Deferred<void>;
  /** It was refused for good, and is no wish any more. */
  refused(): void;
  /** It was granted, on each connection anew; by default this makes it ready. */
  granted(result: any): void;
}

/** The server's default limit is 100 frames a second: a client with many wishes says them in portions. */
const AT_ONCE = 64;
const PAUSE = 1_000;

export type Wishes = ReturnType<typeof wishes>;

/** Keeps wishes through reconnects, and asks again where a refusal is temporary. */
export function wishes(ask: Requests["ask"], failed: (error: HerenowError) => void) {
  const all = new Set<Wish>();
  /** The server knows of them, on the connection of now. */
  const told = new Set<Wish>();
  let queue: Wish[] = [];
  let spent = 0;
  let isOpen = false;

  const pump = () => {
    while (queue.length && spent < AT_ONCE) {
      if (!spent++) setTimeout(refill, PAUSE);
      say(queue.shift()!);
    }
  };
  const refill = () => {
    spent = 0;
    pump();
  };
  const again = (wish: Wish) => {
    if (isOpen) queue.push(wish);
    pump();
  };
  const say = async (wish: Wish) => {
    if (!all.has(wish)) return;
    told.add(wish);
    try {
      await ask(wish.frame, true, (result) => told.has(wish) && wish.granted(result));
    } catch (cause) {
      const error = cause as HerenowError;
      if (!told.has(wish)) return; // Taken back, or of a connection that ended.
      if (error.code === "already_subscribed") wish.granted(undefined);
      else if (error.temporary) setTimeout(() => told.has(wish) && again(wish), error.retryAfterMs ?? PAUSE);
      else {
        told.delete(wish);
        all.delete(wish);
        wish.refused();
        wish.ready.refuse(error);
        failed(error);
      }
    }
  };

  return {
    add(frame: Wish["frame"], refused: () => void, granted?: Wish["granted"]): Wish {
      const ready = deferred<void>();
      const wish = { frame, refused, granted: granted ?? ready.fulfil, ready };
      all.add(wish);
      again(wish);
      return wish;
    },
    /** Asks once more, for what the answer brings. */
    again,
    /** Takes it back; `isSilent`: without a word to the server. */
    remove(wish: Wish, isSilent?: boolean): void {
      all.delete(wish);
      if (told.delete(wish) && !isSilent) ask({ ...wish.frame, type: `un${wish.frame.type}` }).catch(() => {});
    },
    /** There is a connection, which knows of none of them. */
    opened(): void {
      isOpen = true;
      queue = [...all];
      pump();
    },
    lost(): void {
      isOpen = false;
      queue = [];
      told.clear();
    },
  };
}
