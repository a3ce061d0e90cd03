// What the runner tells a server: one line each on the standard input, each answered with `done`.

import { createInterface } from 'node:readline';

/** A message of so many bytes, as benches/src/serve/control.rs makes it. */
export function payload(size) {
  const [mark, end] = ['{"bench":"', '"}'];
  return mark + 'x'.repeat(Math.max(0, size - mark.length - end.length)) + end;
}

/** Says that connections may come, and does what is ordered until the runner is gone. */
export async function obey(port, { all, user }) {
  console.log(`ready ${port}`);
  let turn = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const [order, count, size] = line.split(' ');
    const message = payload(Number(size));
    for (let n = 0; n < Number(count); n += 1) {
      if (order === 'all') all(message);
      else if (order === 'users') user(turn++, message);
      else throw new Error(`not an order: ${line}`);
    }
    console.log('done');
  }
  process.exit(0);
}
