// herenow: the browser client. It is not built into this version of the library yet, so this module only names the
// protocol to speak; a page can open `new WebSocket(url, [PROTOCOL])` and follow docs/PROTOCOL.md by itself.
export const PROTOCOL = "herenow.v1.json";
