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

async function lookAtNodes() {
  try {
    const answer = await (await fetch("/nodes", { cache: "no-store" })).json();
    const before = nodes;
    ({ nodes, key } = answer);
    for (const node of nodes) {
      const was = before.find(({ name }) => name === node.name);
      if (was && was.up !== node.up) log(`the ${node.name} node is ${node.up ? "up" : "gone"}`, !node.up);
    }
    showNodes();
  } catch {
    log("the page's own server does not answer", true);
  }
}

function showNodes() {
  $("nodes").replaceChildren(...nodes.map((node) => {
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
        await lookAtNodes();
      });
      return made;
    };
    const name = element("strong", { className: "dot" }, node.name);
    name.dataset.state = node.up ? "up" : "dead";
    return element("li", {}, name, element("code", { className: "grow" }, node.url),
      button("kill", "Kill", node.up, "small danger"), button("drain", "Drain", node.up), button("start", "Start", !node.up));
  }));
}

/** Each attempt goes to the node that was asked for while it is up, else to the other. */
let attempts = 0;
function pick() {
  const up = nodes.filter((node) => node.up);
  const among = up.length > 0 ? up : nodes;
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
    log(`who is here could not be asked: ${error.message}`, true);
  }
}

function showPeople({ node, engine, people }) {
  $("by").textContent = `${node} (its way to the others is ${engine})`;
  $("count").textContent = people.length;
  $("people").replaceChildren(...people.map((person) => {
    const seat = person.nodes.join(", ") || "…";
    const kick = element("button", { type: "button", className: "small danger" }, "Kick");
    kick.dataset.testid = `kick-${person.name}`;
    kick.addEventListener("click", () => ask({ kick: { who: person.name } }, ({ closed }) => `${closed} sockets of ${person.name} closed`));
    const status = element("span", { className: "dot" }, person.status);
    status.dataset.state = person.status;
    const row = element("tr", { className: sat.has(person.name) && sat.get(person.name) !== seat ? "moved" : "" },
      element("td", { dir: "auto" }, person.name), element("td", {}, status), element("td", {}, seat), element("td", {}, kick));
    row.dataset.name = person.name;
    row.dataset.node = seat;
    sat.set(person.name, seat);
    return row;
  }));
  const chosen = $("to").value;
  $("to").replaceChildren(...people.map(({ name }) => element("option", { value: name }, name)));
  if (people.some(({ name }) => name === chosen)) $("to").value = chosen;
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
  ask({ push: { to, text } }, ({ here, elsewhere }) => `pushed to ${to}: ${here} sockets on this node, ${elsewhere} on the other`);
});

// ---- The socket ----------------------------------------------------------------------------------------------------

function connect() {
  client = new herenow.Herenow("/ws", { token: login.token, WebSocket: Roaming, backoff: { min: 200, max: 2_000 } });
  client.on("state", ({ state, message }) => {
    $("state").dataset.state = state;
    $("state").textContent = { open: "connected", waiting: "trying again", connecting: "connecting", closed: "closed", idle: "not connected" }[state];
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

function leave(why = "") {
  client?.close();
  client = undefined;
  login = undefined;
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
