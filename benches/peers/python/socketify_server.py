"""uWebSockets through socketify: a topic for all, as both recommend, and `ws.send` for one."""

import sys
from queue import Empty, SimpleQueue
from threading import Thread

from socketify import App, OpCode

MARK = '{"bench":"'
TOPIC = "all"
# Between two looks for orders, in milliseconds.
LOOK = 1

app = App()
# Everyone who is there, in the order in which they came, by uWebSockets' own pointer: socketify makes a new object for each event.
sockets = {}
orders = SimpleQueue()
turn = iter(())


def payload(size):
    """A message of so many bytes, as every server here sends it."""
    return (MARK + "x" * max(0, size - len(MARK) - 2) + '"}').encode()


def to_all(message):
    app.publish(TOPIC, message, OpCode.TEXT)


def to_next(message):
    global turn
    key = next(turn, None)
    while key not in sockets:
        if key is None:
            if not sockets:
                return
            turn = iter(list(sockets))
        key = next(turn, None)
    sockets[key].send(message, OpCode.TEXT)


def opened(socket):
    socket.subscribe(TOPIC)
    sockets[socket.ws] = socket


def closed(socket, _code, _message):
    sockets.pop(socket.ws, None)


def read_orders():
    for line in sys.stdin:
        orders.put(line)
    orders.put(None)


def obey(_):
    while True:
        try:
            line = orders.get_nowait()
        except Empty:
            return
        if line is None:
            app.loop.uv_loop.stop()
            return
        order, *numbers = line.split()
        send = {"all": to_all, "users": to_next}.get(order)
        if send is None:
            sys.exit(f"not an order of this server's: {line!r}")
        count, size = map(int, numbers)
        message = payload(size)
        for _ in range(count):
            send(message)
        print("done", flush=True)


app.ws("/ws", {"compression": 0, "idle_timeout": 0, "open": opened, "close": closed})
app.listen({"host": "127.0.0.1", "port": 0}, lambda config: print("ready", config.port, flush=True))
Thread(target=read_orders, daemon=True).start()
timer = app.loop.uv_loop.create_timer(LOOK, LOOK, obey, None)
# `app.run()` would poll libuv's loop from asyncio's, awake all the time: no handler here is asynchronous, so that libuv's is enough.
app.loop.uv_loop.run()
