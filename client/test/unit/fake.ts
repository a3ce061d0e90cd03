// A socket, a server's words and a page that tests hold in their hands.
import { vi } from "vitest";
import type { ClientFrame, ServerFrame, Welcome } from "../../src/protocol.js";
import { Herenow, type Options } from "../../src/index.js";

/** What a browser's socket looks like from here, with the server's side as methods. */
export class FakeSocket {
  static made: FakeSocket[] = [];
  static get last(): FakeSocket {
    return FakeSocket.made.at(-1)!;
  }

  readonly url: string;
  readonly protocols: string[];
  readonly sent: ClientFrame[] = [];
  readyState = 0;
  bufferedAmount = 0;
  closedWith: number | undefined;
  onopen: ((event: any) => any) | null = null;
  onmessage: ((event: any) => any) | null = null;
  onclose: ((event: any) => any) | null = null;
  onerror: ((event: any) => any) | null = null;

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  send(text: string): void {
    if (this.readyState === 0) throw new Error("not open yet");
    if (this.readyState === 1) this.sent.push(JSON.parse(text));
  }

  close(code?: number): void {
    if (this.readyState < 2) {
      this.closedWith = code ?? 1005;
      this.readyState = 2;
    }
  }

  // ---- The server's side ----

  open(): this {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  says(frame: ServerFrame | Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  saysText(data: unknown): void {
    this.onmessage?.({ data });
  }

  ends(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  welcome(more: Partial<Welcome> = {}): this {
    this.open().says(welcome(more));
    return this;
  }

  /** The frames of one type that the client sent. */
  of<Type extends ClientFrame["type"]>(type: Type): Extract<ClientFrame, { type: Type }>[] {
    return this.sent.filter((frame) => frame.type === type) as Extract<ClientFrame, { type: Type }>[];
  }

  /** Answers the latest request of one type. */
  replies(type: ClientFrame["type"], result: unknown = {}): void {
    this.says({ type: "reply", id: (this.of(type).at(-1) as { id: number }).id, result });
  }

  refuses(type: ClientFrame["type"], code: string, more: object = {}): void {
    this.says({ type: "reply", id: (this.of(type).at(-1) as { id: number }).id, error: { code, message: `${code}!`, temporary: false, ...more } });
  }
}

export const welcome = (more: Partial<Welcome> = {}): Welcome => ({
  type: "welcome",
  connection: "c_1",
  user: "alice",
  resumed: false,
  seq: 0,
  serverTime: 1_767_225_600_123,
  heartbeat: { interval: 30_000, timeout: 10_000 },
  limits: { maxFrame: 65_536, maxChannels: 100 },
  ...more,
});

let clients: Herenow<any>[] = [];

/** A client whose sockets are fakes; its jitter is all of what there may be, unless told otherwise. */
export function client<UserData = unknown>(options: Options = {}): Herenow<UserData> {
  const made = new Herenow<UserData>("ws://127.0.0.1/ws", { WebSocket: FakeSocket, random: () => 1, ...options });
  clients.push(made);
  return made;
}

/** A client that is connected, and its socket. */
export async function connected<UserData = unknown>(options: Options = {}, more: Partial<Welcome> = {}) {
  const made = client<UserData>(options);
  const opening = made.connect();
  await settled();
  const socket = FakeSocket.last.welcome(more);
  await opening;
  return { client: made, socket };
}

/** Everything that waits for no timer has happened. */
export async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** So much later, with everything that was due on the way. */
export async function later(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

export function setUp(): void {
  vi.useFakeTimers();
  FakeSocket.made = [];
}

export function tearDown(): void {
  for (const one of clients) one.close();
  clients = [];
  vi.clearAllTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
}

/** A promise's outcome, so that a rejection is never left alone. */
export async function outcome<Value>(promise: Promise<Value>): Promise<{ value: Value } | { error: any }> {
  return promise.then((value) => ({ value }), (error) => ({ error }));
}
