// The connection: protocol herenow.v1.json with back-off, a watchdog, token refresh and the table of close codes. It
// knows no page.

const OPEN_LONG = 30_000; // ms after which a lost connection begins its back-off anew

export class Link {
  state = "offline"; // offline, connecting, online, waiting, stopped
  draining = false;
  skew = 0; // server time minus ours, in ms
  #live; // the one live socket; whatever an older one still says is ignored
  #attempt = 0;
  #tokenTries = 0;
  #timer;
  #retryAt = 0;
  #nextId = 1;

  /**
   * `token()` is the token of now, `renew()` fetches the next one. Of `on`: `state()` on every change, `welcome()`,
   * `push(frame)`, `notice(text)`, and `stop(code, text)` when it will not come back by itself.
   */
  constructor({ token, renew, on }) {
    Object.assign(this, { token, renew, on });
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    setInterval(() => this.state === "waiting" && on.state(), 1_000);
  }

  get secondsLeft() {
    return Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
  }

  /** Whether this is still the connection of `mark`, for answers that took their time. */
  get mark() {
    return this.#live;
  }

  start() {
    this.#attempt = this.#tokenTries = 0;
    this.#connect();
  }

  send(frame) {
    if (this.#live?.socket.readyState === WebSocket.OPEN) this.#live.socket.send(JSON.stringify(frame));
  }

  /** Ends it for good: 1000 is a log-out, and others see it at once. */
  hangUp() {
    this.#drop(1000);
    this.#become("offline");
  }

  retryNow() {
    if (this.state === "waiting") this.#connect();
  }

  #become(state) {
    this.state = state;
    this.on.state();
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.token()) return;
    const url = new URL("ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = url.hash = "";
    const socket = new WebSocket(url, ["herenow.v1.json", bearerProtocol(this.token())]);
    const live = { socket, farewell: undefined, welcomedAt: 0, watchdog: undefined, silence: 40_000, probed: false };
    this.#live = live;
    this.#become("connecting");
    const mine = (then) => (event) => live === this.#live && then(event);
    socket.onopen = mine(() => this.send({ type: "hello", client: "notify" }));
    socket.onmessage = mine(({ data }) => typeof data === "string" && this.#receive(JSON.parse(data)));
    socket.onclose = mine(({ code }) => this.#ended(code));
  }

  #receive(frame) {
    this.#listen();
    switch (frame.type) {
      case "welcome":
        this.#tokenTries = 0;
        this.#live.welcomedAt = Date.now();
        this.#live.silence = Math.max(5_000, frame.heartbeat.interval + frame.heartbeat.timeout);
        this.skew = frame.serverTime - Date.now();
        this.#become("online");
        return this.on.welcome();
      case "push": return this.on.push(frame);
      case "ping": return this.send({ type: "pong" });
      case "authExpiring": return void this.#refresh().catch(() => { /* `goodbye` 4301 follows, and says what to do */ });
      case "error": return this.#live.welcomedAt && this.on.notice(frame.message);
      case "kicked": case "goodbye": this.#live.farewell = frame;
    }
  }

  /** Starts the watchdog afresh: a server that says nothing for one heartbeat is asked once, then given up. */
  #listen() {
    const live = this.#live;
    clearTimeout(live.watchdog);
    live.probed = false;
    live.watchdog = setTimeout(() => this.#probe(live), live.silence);
  }

  #probe(live) {
    if (live !== this.#live) return;
    if (live.probed) {
      this.#drop(4100);
      return this.#retry();
    }
    live.probed = true;
    this.send({ type: "ping" });
    live.watchdog = setTimeout(() => this.#probe(live), 5_000);
  }

  #drop(code) {
    clearTimeout(this.#timer);
    clearTimeout(this.#live?.watchdog);
    const old = this.#live;
    this.#live = undefined;
    old?.socket.close(code);
  }

  #ended(closeCode) {
    const { farewell, welcomedAt, watchdog } = this.#live;
    clearTimeout(watchdog);
    this.#live = undefined;
    if (welcomedAt && Date.now() - welcomedAt > OPEN_LONG) this.#attempt = 0;
    const code = farewell?.code ?? closeCode;
    this.draining = code === 4302;
    const next = farewell ? afterFarewell(farewell) : advice(code);
    if (next === "stop") return this.#stop(code, farewell?.message);
    if (next === "token" || next === "tokenOnce") return void this.#tokenThenRetry(code, next);
    this.#retry(farewell?.reconnectInMs ?? (next === "now" ? 0 : undefined));
  }

  #stop(code, text) {
    clearTimeout(this.#timer);
    this.#become("stopped");
    this.on.stop(code, text);
  }

  async #tokenThenRetry(code, next) {
    if (next === "tokenOnce" && this.#tokenTries++ > 0) return this.#stop(code);
    this.#become("connecting");
    try {
      await this.#refresh();
      this.#retry();
    } catch (error) {
      if (error.status) this.#stop(code);
      else this.#retry();
    }
  }

  async #refresh() {
    const token = await this.renew();
    if (token && this.state === "online") this.send({ type: "auth", token, id: this.#nextId++ });
  }

  /** Full jitter, so that ten thousand pages do not come back in step. */
  #retry(delay = Math.random() * Math.min(20_000, 500 * 2 ** this.#attempt)) {
    if (!this.token()) return;
    this.#attempt += 1;
    this.#retryAt = Date.now() + delay;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#become("waiting");
  }
}

function bearerProtocol(token) {
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  return `base64url.bearer.herenow.${base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

function afterFarewell({ code, reconnect }) {
  if (!reconnect) return "stop";
  const next = advice(code);
  return next === "stop" ? "backOff" : next;
}

/** The table of close codes, for when only the close was seen. */
function advice(code) {
  if ([1006, 1001, 1011, 1012, 1013].includes(code)) return "backOff";
  if (code < 4000) return "stop";
  if (code === 4301) return "token";
  if (code === 4401 || code === 4403) return "tokenOnce";
  return { 40: "stop", 41: "backOff", 42: "now", 44: "stop" }[Math.floor(code / 100)] ?? "backOff";
}
