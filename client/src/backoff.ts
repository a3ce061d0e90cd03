export type Backoff = ReturnType<typeof backoff>;

/** Full jitter, so that ten thousand pages do not come back in step; a floor, so that no page spins. */
export function backoff({ min = 500, max = 20_000 } = {}, random = Math.random) {
  let attempt = 0;
  return {
    /** The longest wait, in ms. */
    longest: max,
    /** How long to wait before the next attempt, in ms. `atOnce` is granted to the first attempt only. */
    delay(atOnce?: boolean): number {
      const floor = min / 5;
      const ms = floor + random() * (Math.min(max, min * 2 ** attempt) - floor);
      return attempt++ || !atOnce ? ms : 0;
    },
    reset(): void {
      attempt = 0;
    },
  };
}
