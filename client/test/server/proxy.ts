// The network between a client and a server, and all that can happen to it.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server as Listener, type Socket } from "node:net";
import { Address } from "./conformance.js";

/** A way to a server that can be cut, closed, and go silent. */
export class Proxy extends Address {
  /** How many connections there were. */
  accepted = 0;
  /** New connections are cut at once. */
  isClosed = false;
  /** Nothing gets through, in either direction, and nobody is told; a connection that has seen it stays so. */
  isSilent = false;
  readonly #listener: Listener;
  readonly #links = new Set<Link>();

  private constructor(listener: Listener) {
    super(`127.0.0.1:${(listener.address() as AddressInfo).port}`);
    this.#listener = listener;
  }

  /** A new way to somewhere. */
  static async before({ host }: Address): Promise<Proxy> {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const proxy = new Proxy(listener);
    const { hostname, port } = new URL(`http://${host}`);
    listener.on("connection", (client) => proxy.#link(client, () => connect(Number(port), hostname)));
    return proxy;
  }

  /** Cuts what is open, in the middle of whatever is under way. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** From now on nothing gets through. */
  silence(): void {
    this.isSilent = true;
    for (const link of this.#links) link.isSilent = true;
  }

  /** The end of it. */
  async end(): Promise<void> {
    this.isClosed = true;
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #link(client: Socket, reach: () => Socket): void {
    this.accepted++;
    if (this.isClosed) return void client.resetAndDestroy();
    const link = new Link(client, reach(), this.isSilent);
    this.#links.add(link);
    client.on("close", () => this.#links.delete(link));
  }
}

/** One connection through it. */
class Link {
  isSilent: boolean;
  readonly #sides: [Socket, Socket];

  constructor(client: Socket, server: Socket, isSilent: boolean) {
    this.isSilent = isSilent;
    this.#sides = [client, server];
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.setNoDelay();
      from.on("error", () => {}); // `close` follows.
      from.on("data", (data) => this.isSilent || to.write(data));
      from.on("close", () => this.isSilent ? undefined : to.destroySoon());
    }
  }

  cut(): void {
    for (const side of this.#sides) side.resetAndDestroy();
  }
}
