// `ws` with its defaults (no compression), as its documentation broadcasts: one buffer for all.

import { WebSocketServer } from 'ws';
import { obey } from './control.mjs';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/ws', backlog: 4096 });
const sockets = [];
server.on('connection', (socket) => {
  sockets.push(socket);
  socket.on('error', () => {}); // A client that is cut off is no news.
  socket.on('close', () => {
    const at = sockets.indexOf(socket);
    sockets[at] = sockets.at(-1);
    sockets.pop();
  });
});
server.on('listening', () => obey(server.address().port, {
  all(message) {
    const data = Buffer.from(message);
    for (const socket of server.clients) socket.send(data, { binary: false });
  },
  user(turn, message) {
    sockets[turn % sockets.length]?.send(message);
  },
}));
