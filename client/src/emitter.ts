type Listener<Arguments extends unknown[]> = ((...values: Arguments) => unknown) | undefined;

/** Calls a listener. What it throws is reported where errors are looked for, and breaks nothing here. */
export function call<Arguments extends unknown[]>(listener: Listener<Arguments>, ...values: Arguments): void {
  try {
    listener?.(...values);
  } catch (error) {
    if (globalThis.reportError as unknown) reportError(error);
    else queueMicrotask(() => { throw error; });
  }
}

/** Listeners of one thing. */
export function listeners<Arguments extends unknown[]>() {
  const all = new Set<[Listener<Arguments>]>();
  return {
    /** Adds one; the same function may listen twice. Returns what takes it away, and tells whether it was the last. */
    on(listener: Listener<Arguments>): () => boolean {
      const entry: [Listener<Arguments>] = [listener];
      all.add(entry);
      return () => all.delete(entry) && !all.size;
    },
    emit(...values: Arguments): void {
      for (const [listener] of [...all]) call(listener, ...values);
    },
  };
}
