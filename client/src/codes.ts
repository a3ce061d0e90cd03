/** What a client does after the end of a connection. */
export type Advice =
  /** Do not come back. */
  | "stop"
  /** Come back, with back-off. */
  | "backOff"
  /** Come back at once, or after `reconnectInMs`. */
  | "atOnce"
  /** Fetch a new token, then come back. */
  | "refreshToken"
  /** Fetch a new token once, then stop. */
  | "refreshOnce";

const TABLE: [RegExp, Advice][] = [
  [/4301/, "refreshToken"],
  [/440[13]/, "refreshOnce"],
  [/4302|42../, "atOnce"],
  [/100[02378-9]|4[04]../, "stop"],
];

/**
 * The table of close codes, for an end that only the code speaks of (`docs/PROTOCOL.md`, section 5). It mirrors the
 * server's: `protocol/close-codes.json` is read by the tests of both.
 *
 * A code that nobody knows, such as that of a proxy, is worth another attempt.
 */
export const adviceOf = (code: number): Advice => TABLE.find(([codes]) => codes.test(`${code}`))?.[1] ?? "backOff";
