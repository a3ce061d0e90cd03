// Talks to a herenow server with Node's `ws`, as a program would.
//
//   node ws-client.mjs <ws URL> <token> [scenario …]
//
// Scenarios, all by default, in this order: bearer-subprotocol, bearer-header, raw, refused-http, refused-visible.
// Environment: PUSH_URL is fetched by GET (with the token as a Bearer) while a scenario waits for a push; without it
// something else has to push to this user within ten seconds. DEVICE names the device in `hello`.
//
// Prints one line of JSON: {"ok":true,"results":{"raw":{…},…}}; ends with 1 where a scenario failed.

import WebSocket from "ws";

const [url, token, ...chosen] = process.argv.slice(2);
const PATIENCE = 10_000; // ms, for one event
const ENVELOPE = "herenow.v1.json";
const RAW = "herenow.v1.raw";

const bearer = (secret) => `base64url.bearer.herenow.${Buffer.from(secret).toString("base64url")}`;
const header = (secret) => ({ headers: { Authorization: `Bearer ${secret}` } });

/** A socket whose events can be awaited in their order. */
function dial(protocols, options = {}) {
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
  const events = [];
  const waiters = [];
  const emit = (event) => (waiters.length ? waiters.shift()(event) : events.push(event));
  socket.on("open", () => emit({ what: "open", protocol: socket.protocol }));
  socket.on("message", (data, binary) => emit({ what: "message", text: data.toString(), binary }));
  socket.on("close", (code, reason) => emit({ what: "close", code, reason: reason.toString() }));
  socket.on("unexpected-response", (request, response) => readRefusal(request, response, emit));
  socket.on("error", () => {}); // `close` follows, and says as much
  const next = () => within(events.length ? events.shift() : new Promise((resolve) => waiters.push(resolve)));
  return { socket, next };
}

function readRefusal(request, response, emit) {
  let body = "";
  response.on("data", (chunk) => { body += chunk; });
  response.on("end", () => {
    emit({ what: "http", status: response.statusCode, headers: response.headers, body });
    request.destroy();
  });
}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("nothing came in time")), PATIENCE); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function check(condition, complaint, seen) {
  if (!condition) throw new Error(`${complaint}; seen: ${JSON.stringify(seen)}`);
}

async function expect(client, what) {
  const event = await client.next();
  check(event.what === what, `expected ${what}`, event);
  return event;
}

async function frame(client, type) {
  for (;;) {
    const seen = JSON.parse((await expect(client, "message")).text);
    if (seen.type === type) return seen;
    check(!["kicked", "goodbye", "error"].includes(seen.type), `expected ${type}`, seen);
  }
}

async function askForPush() {
  if (!process.env.PUSH_URL) return;
  const response = await fetch(process.env.PUSH_URL, header(token));
  check(response.ok, "PUSH_URL did not answer 2xx", response.status);
}

async function leave(client) {
  client.socket.close(1000);
  const closed = await expectClose(client);
  check(closed.code === 1000, "expected 1000 back", closed);
}

async function expectClose(client) {
  for (;;) {
    const event = await client.next();
    if (event.what === "close") return event;
  }
}

/** hello, welcome, ping, pong, a push, and a clean end. */
async function envelope(client) {
  const opened = await expect(client, "open");
  check(opened.protocol === ENVELOPE, "the server chose another subprotocol", opened);
  const send = (value) => client.socket.send(JSON.stringify(value));
  send({ type: "hello", client: "node-ws", device: process.env.DEVICE });
  const welcome = JSON.parse((await expect(client, "message")).text);
  check(welcome.type === "welcome", "something came before welcome", welcome);
  send({ type: "ping" });
  await frame(client, "pong");
  await askForPush();
  const push = await frame(client, "push");
  await leave(client);
  return { user: welcome.user, heartbeat: welcome.heartbeat, push };
}

const SCENARIOS = {
  "bearer-subprotocol": () => envelope(dial([ENVELOPE, bearer(token)])),

  "bearer-header": () => envelope(dial([ENVELOPE], header(token))),

  async raw() {
    const client = dial([RAW, bearer(token)]);
    const opened = await expect(client, "open");
    check(opened.protocol === RAW, "the server chose another subprotocol", opened);
    await askForPush();
    const push = await expect(client, "message");
    client.socket.ping();
    await within(new Promise((resolve) => client.socket.once("pong", resolve)));
    await leave(client);
    return { text: push.text, binary: push.binary };
  },

  async "refused-http"() {
    const client = dial([RAW, bearer(`${token}x`)]);
    const { status, headers, body } = await expect(client, "http");
    check(status === 401, "expected HTTP 401", status);
    check(headers["www-authenticate"]?.startsWith("Bearer"), "WWW-Authenticate is missing", headers);
    check(JSON.parse(body).code === 401, "the body does not say 401", body);
    return { status, body: JSON.parse(body) };
  },

  async "refused-visible"() {
    const client = dial([ENVELOPE, bearer(`${token}x`)]);
    await expect(client, "open");
    const said = JSON.parse((await expect(client, "message")).text);
    check(said.type === "error", "expected an error frame first", said);
    const closed = await expectClose(client);
    check(closed.code === 4401, "expected close 4401", closed);
    return { error: said.code, code: closed.code, reason: closed.reason };
  },
};

const results = {};
let ok = true;
for (const name of chosen.length ? chosen : Object.keys(SCENARIOS)) {
  try {
    results[name] = await SCENARIOS[name]();
  } catch (error) {
    ok = false;
    results[name] = { failed: error.message };
  }
}
console.log(JSON.stringify({ ok, results }));
process.exit(ok ? 0 : 1);
