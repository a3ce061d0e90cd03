import type { Options } from "./types.js";

/** What a page tells its connection. */
export interface PageEvents {
  /** Nobody looks at the page any more, or somebody does again; the latter is repeated while somebody does. */
  away(isAway: boolean): void;
  /** The network or the person came back: now is the time to try. */
  hurry(): void;
  /** The page goes into the browser's history, and may come back. */
  hide(): void;
}

/**
 * Watches the page until the returned function is called. Without a `document`, in a worker or in Node, there is only the
 * network to watch, or nothing.
 */
export function watchPage(away: Options["away"], now: () => number, page: PageEvents): () => void {
  const { hidden = 10_000, idle = 300_000 } = away === false ? { hidden: 0, idle: 0 } : away ?? {};
  const { document } = globalThis;
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isAway = false;
  let said = now();

  const listen = (target: EventTarget, types: string, listener: (event: Event) => void) => {
    for (const type of types.split(" ")) target.addEventListener?.(type, listener, { signal: over.signal, passive: true, capture: true });
  };
  const say = (next: boolean) => {
    isAway = next;
    said = now();
    page.away(next);
  };
  const arm = () => {
    clearTimeout(timer);
    const delay = (document.hidden && hidden) || idle;
    if (delay) timer = setTimeout(say, delay, true);
  };
  // Somebody who only reads sends nothing, and the server would count them as idle: so they are mentioned now and then.
  const touched = () => {
    if (document.hidden) return;
    if (isAway || (idle && now() - said > idle / 2)) say(false);
    arm();
  };
  const looked = () => {
    arm();
    if (document.hidden) return;
    touched();
    page.hurry();
  };

  listen(globalThis as any, "online pageshow", page.hurry);
  if (document) {
    // One that goes for good leaves its socket to the browser, whose 1001 says so: the server need keep nothing for it.
    listen(globalThis as any, "pagehide", (event) => (event as PageTransitionEvent).persisted && page.hide());
    listen(document, "visibilitychange", looked);
    listen(document, "pointerdown pointermove keydown wheel", touched);
    arm();
  }
  return () => {
    over.abort();
    clearTimeout(timer);
  };
}
