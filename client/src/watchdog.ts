/** How long the last question may stay without an answer, in ms. */
const PATIENCE = 5_000;

export type Watchdog = ReturnType<typeof watchdog>;

/**
 * Whether the server is there. Whoever said nothing for the time of `start` is asked once more (this side may have slept,
 * and the answer wakes the connection up), and then counts as gone.
 */
export function watchdog(question: () => void, gone: () => void) {
  let silence = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    if (silence) timer = setTimeout(ask, silence);
  };
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(gone, PATIENCE);
    question();
  };
  return {
    /** From now on, `ms` without a word are too long. */
    start(ms: number): void {
      silence = ms;
      heard();
    },
    /** Something came. */
    heard,
    /** Asks now: after the network or the person came back, waiting for the whole silence would be long. */
    ask,
    stop(): void {
      clearTimeout(timer);
    },
  };
}
