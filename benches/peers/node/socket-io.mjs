// Socket.IO over WebSocket alone; everybody by `io.emit`, one by its socket.

import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { obey } from './control.mjs';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });
const sockets = [];
io.on('connection', (socket) => {
  sockets.push(socket);
  socket.on('disconnect', () => {
    const at = sockets.indexOf(socket);
    sockets[at] = sockets.at(-1);
    sockets.pop();
  });
});
http.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => obey(http.address().port, {
  all(message) {
    io.emit('push', JSON.parse(message));
  },
  user(turn, message) {
    sockets[turn % sockets.length]?.emit('push', JSON.parse(message));
  },
}));
