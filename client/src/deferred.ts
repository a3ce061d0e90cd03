/** A promise that is settled from outside. Nobody has to wait for it: a rejection that nobody hears is no error of its own. */
export interface Deferred<Value> {
  promise: Promise<Value>;
  fulfil(value: Value): void;
  refuse(error: unknown): void;
}

export function deferred<Value>(): Deferred<Value> {
  let fulfil!: (value: Value) => void;
  let refuse!: (error: unknown) => void;
  const promise = new Promise<Value>((resolve, reject) => {
    fulfil = resolve;
    refuse = reject;
  });
  promise.catch(() => {});
  return { promise, fulfil, refuse };
}
