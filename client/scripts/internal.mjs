// Names of properties that never leave the client: they are shortened in what is published. A name that is missing here
// only costs bytes; one that a user, the wire or the platform knows must not be here, and the build looks for that.
import { readFileSync } from "node:fs";

const NAMES = `
  again applied ask buddies changed changes delay diff emit endsIn failed farewell flush forget frame fulfil granted heard hello hide hold hurry isAnswered lists
  longest lost members methods named opened over overheard pause promise refuse refused remove reset rooms settle spoil start stop things timer tokenFailed
  unsent wanted wish
`.trim().split(/\s+/);

const PUBLIC = ["protocol", "types", "client", "errors", "goeasy", "sse", "iife"];

/** What esbuild's `mangleProps` takes. */
export function internalNames(src) {
  const taken = platformNames();
  for (const file of PUBLIC) {
    const members = readFileSync(new URL(`${file}.ts`, src), "utf8").matchAll(/^ +(?:declare |readonly |override |async |get )*(\w+)\??[:(<]/gm);
    for (const [, name] of members) taken.add(name);
  }
  const wrong = NAMES.filter((name) => taken.has(name));
  if (wrong.length > 0) throw new Error(`scripts/internal.mjs: not internal: ${wrong.join(", ")}`);
  return new RegExp(`^(${NAMES.join("|")})$`);
}

/** What the objects have that the client uses. */
function platformNames() {
  const names = new Set(["bufferedAmount", "done", "onclose", "onerror", "onmessage", "onopen", "readyState", "value"]);
  const used = [AbortController, Array, Date, Error, EventTarget, Function, JSON, Map, Math, Object, Promise, RegExp, Set, String, TextEncoder, URL, URLSearchParams];
  for (const holder of used.flatMap((one) => [one, one.prototype ?? one])) Object.getOwnPropertyNames(holder).forEach((name) => names.add(name));
  return names;
}
