// The real server, in processes of its own: `conformance-server`, whose path is in the environment.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";

/** What it can serve with. */
export const ADAPTERS = ["axum", "actix", "actix-fast", "poem"] as const;
export type Adapter = (typeof ADAPTERS)[number];

/** What every server here is told, unless a test says otherwise: users who are gone are gone soon. */
const BRISK = ["--grace-ms", "100", "--event-window-ms", "10", "--drain-ms", "2000"];

/** What `POST /login` takes. */
export interface Login {
  device?: string;
  ttlSeconds?: number;
  data?: unknown;
}

/** Somewhere a server, or a proxy before it, listens. */
export class Address {
  readonly host: string;

  constructor(host: string) {
    this.host = host;
  }

  get http(): string {
    return `http://${this.host}`;
  }

  get ws(): string {
    return `ws://${this.host}/ws`;
  }
}

/** A server that listens. */
export class Server extends Address {
  readonly #child: ChildProcess | undefined;
  /** What it had to say. */
  #log = "";

  constructor(host: string, child?: ChildProcess) {
    super(host);
    this.#child = child;
    child?.stderr?.on("data", (text) => { this.#log = `${this.#log}${text}`.slice(-20_000); });
  }

  /** Starts one, on a free port unless `--listen` says which; a later option wins over an earlier one. */
  static async start(adapter: Adapter, options: string[] = []): Promise<Server> {
    const path = process.env["CONFORMANCE_SERVER"];
    if (!path) throw new Error("CONFORMANCE_SERVER must be the path of a built conformance-server: `cargo test -p herenow-conformance --test client` sets it");
    const own = new Set(options);
    const brisk = BRISK.filter((_, at) => !own.has(BRISK[at - (at % 2)]!));
    const [program, ...args] = [...undying(path), "--adapter", adapter, ...brisk, ...options];
    const child = spawn(program!, args, { cwd: tmpdir(), stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, RUST_BACKTRACE: "0" } });
    const lines = createInterface({ input: child.stdout! });
    const [said] = await Promise.race([once(lines, "line"), once(child, "exit").then(([code]) => { throw new Error(`conformance-server ended with ${code}`); })]);
    return new Server(new URL(JSON.parse(said).listening).host, child);
  }

  /** Ends it as an administrator does, and waits for that. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`conformance-server ended with ${code ?? signal}\n${this.#log}`);
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    const ended = once(this.#child!, "exit");
    this.#child!.kill("SIGKILL");
    await ended;
  }

  /** A token for a user. */
  async login(loginId: string, login: Login = {}): Promise<string> {
    return (await this.#post("/login", { loginId, ...login })).token;
  }

  /** What an administrator may do: `push`, `kick`, `broadcast`, `revoke`. */
  admin(what: string, order: object): Promise<any> {
    return this.#post(`/admin/${what}`, order, { "x-admin-key": "adm1n" });
  }

  /** Pushes a text to a user; it must reach somebody, or be kept. */
  push(loginId: string, content: string): Promise<any> {
    return this.admin("push", { loginId, content });
  }

  /** How a user is. */
  async user(loginId: string): Promise<{ online: boolean; status: string; sessions: { device: string | null }[] }> {
    return (await checked(fetch(`${this.http}/admin/online/${loginId}`, { headers: { "x-admin-key": "adm1n" } }))).json();
  }

  /** A route of the library, by a user. */
  get(path: string, token: string): Promise<Response> {
    return checked(fetch(`${this.http}${path}`, { headers: { authorization: `Bearer ${token}` } }));
  }

  /** Another one. */
  async postAs(token: string, path: string, body: object = {}): Promise<any> {
    return this.#post(path, body, { authorization: `Bearer ${token}` });
  }

  async #post(path: string, body: object, headers: Record<string, string> = {}): Promise<any> {
    const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    const text = await (await checked(fetch(this.http + path, init))).text();
    return text ? JSON.parse(text) : undefined;
  }
}

async function checked(asked: Promise<Response>): Promise<Response> {
  const response = await asked;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}

/** So that a server does not outlive a test that is killed: Linux ends it with its parent. */
const undying = (path: string) => (process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL", "--", path] : [path]);
