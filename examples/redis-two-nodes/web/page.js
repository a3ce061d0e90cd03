// Two nodes behind one page: which of them a socket goes to is decided here, as a load balancer would; all else is the client's.

const $ = (id) => document.getElementById(id);

/** What the page's own server says of the nodes, and the key that it wants to hear with every command. */
let nodes = [];
let key = "";
let client;
let login; // {token, name, want}
const sat = new Map(); // name -> the nodes it sat on when last seen

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Puts other children in a place and leaves the focus on the one that is what the focused one was. */
function redraw(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.testid : undefined;
  place.replaceChildren(...children);
  if (focused) [...place.querySelectorAll("[data-testid]")].find((one) => one.dataset.testid === focused)?.focus();
}

/** Whether there is something else to show than last time: what is not drawn anew can be clicked and read in peace. */
const shown = new Map();
function isNew(what, value) {
  const text = JSON.stringify(value);
  return shown.get(what) !== text && Boolean(shown.set(what, text));
}

const sockets = (count) => `${count} ${count === 1 ? "socket" : "sockets"}`;

function log(text, bad = false) {
  const time = element("time", {}, new Date().toLocaleTimeString());
  $("log").prepend(element("li", { className: bad ? "bad" : "" }, time, text));
  while ($("log").children.length > 200) $("log").lastChild.remove();
}

async function command(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "x-demo-key": key, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error((await response.text()) || response.statusText);
  return response.status === 204 ? undefined : response.json();
}

// ---- Nodes ---------------------------------------------------------------------------------------------------------

let looks = 0;
let seen = 0;
async function lookAtNodes() {
  const look = ++looks;
  try {
    const answer = await (await fetch("/nodes", { cache: "no-store" })).json();
    if (look < seen) return; // A later look was answered before.
    seen = look;
    isNew("front", "answers");
    const before = nodes;
    ({ nodes, key } = answer);
    for (const node of nodes) {
      const was = before.find(({ name }) => name === node.name);
      const [now, then] = [condition(node), was && condition(was)];
      if (then && then.state !== now.state) log(`the ${node.name} node ${now.log}`, now.state !== "up");
    }
    if (isNew("nodes", nodes)) redraw($("nodes"), ...nodes.map(drawNode));
  } catch {
    if (isNew("front", "is silent")) log("the page's own server does not answer", true);
  }
}

/** How a node is, by its process and by what it answers a load balancer. */
function condition({ up, engine }) {
  if (!up) return { state: "dead", text: "not running", log: "is gone" };
  if (!engine) return { state: "silent", text: "does not answer", log: "does not answer" };
  if (engine === "up") return { state: "up", text: "its Redis is up", log: "is up" };
  return { state: "alone", text: `its Redis is ${engine}`, log: `says that its Redis is ${engine}` };
}

function drawNode(node) {
  const { state, text } = condition(node);
  const button = (what, label, enabled, className = "small") => {
    const made = element("button", { type: "button", className, disabled: !enabled }, label);
    made.dataset.testid = `${what}-${node.name}`;
    made.addEventListener("click", async () => {
      made.disabled = true;
      try {
        log(`${what} ${node.name}`);
        await command(`/nodes/${node.name}/${what}`);
      } catch (error) {
        log(error.message, true);
      }
      made.disabled = false;
      await lookAtNodes();
    });
    return made;
  };
  const name = element("strong", { className: "dot" }, node.name);
  name.dataset.state = state;
  const row = element("li", {}, name,
    button("kill", "Kill", node.up, "small danger"), button("drain", "Drain", node.up), button("start", "Start", !node.up),
    element("span", { className: "about" }, element("code", {}, node.url), ` ${text}`));
  row.dataset.name = node.name;
  row.dataset.state = state;
  return row;
}

/** Each attempt goes to the node that was asked for while it takes clients, else to another; whoever asked for none, to any. */
let attempts = Math.floor(Math.random() * 2);
function pick() {
  const fit = nodes.filter((node) => node.engine);
  const among = fit.length > 0 ? fit : nodes;
  return among.find(({ name }) => name === login.want) ?? among[attempts++ % among.length];
}

class Roaming {
  constructor(_, protocols) {
    return new WebSocket(pick().url, protocols);
  }
}

// ---- People --------------------------------------------------------------------------------------------------------

async function lookAtPeople() {
  if (client?.state !== "open") return;
  try {
    const answer = await client.send("people", { reply: true });
    showPeople(answer);
  } catch (error) {
    // With the connection the question is lost, and that is told anyway.
    if (client?.state === "open") log(`who is here could not be asked: ${error.message}`, true);
  }
}

function showPeople({ node, people }) {
  $("by").textContent = node;
  if (!isNew("people", people)) return;
  $("count").textContent = people.length;
  redraw($("people"), ...people.map(drawPerson));
  const names = people.map(({ name }) => name);
  for (const name of sat.keys()) if (!names.includes(name)) sat.delete(name);
  if (!isNew("names", names)) return;
  const chosen = $("to").value;
  redraw($("to"), ...names.map((name) => element("option", { value: name }, name)));
  if (names.includes(chosen)) $("to").value = chosen;
}

function drawPerson({ name, status, nodes }) {
  const seat = nodes.join(", ") || "…"; // In the grace period somebody is online and sits nowhere.
  const hasMoved = sat.has(name) && sat.get(name) !== seat;
  if (hasMoved && nodes.length > 0) log(`${name} sits on ${nodes.join(" and ")} now`);
  sat.set(name, seat);
  const kick = element("button", { type: "button", className: "small danger", title: `Kick ${name}` }, "Kick");
  kick.dataset.testid = `kick-${name}`;
  kick.addEventListener("click", () => ask({ kick: { who: name } }, ({ closed }) => `${sockets(closed)} of ${name} closed`));
  const said = element("span", { className: "dot" }, status);
  said.dataset.state = status;
  const row = element("tr", { className: hasMoved ? "moved" : "" },
    element("td", { dir: "auto" }, name), element("td", {}, said), element("td", {}, seat), element("td", {}, kick));
  row.dataset.name = name;
  row.dataset.node = seat;
  return row;
}

async function ask(request, told) {
  try {
    log(told(await client.send(request, { reply: true })));
  } catch (error) {
    log(error.message, true);
  }
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const [to, text] = [$("to").value, $("text").value.trim()];
  if (!to || !text) return;
  $("text").value = "";
  ask({ push: { to, text } }, ({ here, elsewhere }) => `pushed to ${to}: ${sockets(here)} on this node, ${elsewhere} on the other`);
});

// ---- The socket ----------------------------------------------------------------------------------------------------

function connect() {
  // The page's server forgets its logins when it is started again; so a new token is asked for when the old one is refused.
  const getToken = async () => (await command("/login", { name: login.name })).token;
  client = new herenow.Herenow("/ws", { token: login.token, getToken, WebSocket: Roaming, backoff: { min: 200, max: 2_000 } });
  client.on("state", ({ state, message }) => {
    showState(state);
    if (state === "waiting") {
      log(`the socket is gone${message ? `: ${message}` : ""}`, true);
      lookAtNodes();
    }
  });
  client.on("welcome", () => lookAtPeople());
  client.on("resumed", (all) => log(all ? "back, and nothing was missed" : "back; what was pushed meanwhile is lost", !all));
  client.on("goodbye", ({ code }) => log(`the node sent us away (${code})`));
  client.on("kicked", ({ message }) => {
    log(message, true);
    leave(message);
  });
  client.on("push", ({ kind, data }) => kind === "note" && log(`${data.from}, by way of ${data.by}: ${data.text}`));
  client.on("presence", ({ events = [] }) => {
    for (const { action, cause, user } of events) log(`${user.id}: ${action} (${cause})`);
    lookAtPeople();
  });
  client.presence("lobby");
  client.connect();
}

const STATES = { open: "connected", waiting: "trying again", connecting: "connecting", closed: "closed", idle: "not connected" };
function showState(state) {
  $("state").dataset.state = state;
  $("state").textContent = STATES[state];
}

function leave(why = "") {
  client?.close();
  client = undefined;
  login = undefined;
  showState("idle");
  for (const what of [shown, sat]) what.clear();
  $("login-error").textContent = why;
  show();
}

function show() {
  $("login-view").hidden = Boolean(login);
  $("site-view").hidden = !login;
  $("logout").hidden = !login;
  $("me").textContent = login?.name ?? "";
}

$("logout").addEventListener("click", () => leave());
$("login-view").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    login = { ...(await command("/login", { name: $("name").value })), want: $("want").value };
    show();
    connect();
  } catch (error) {
    $("login-error").textContent = error.message;
  }
});

await lookAtNodes();
setInterval(() => {
  lookAtNodes();
  lookAtPeople();
}, 1_000);
