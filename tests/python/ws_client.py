"""Talks to a herenow server with Python's `websockets`, as a program would.

    python ws_client.py <ws URL> <token> [scenario ...]

Scenarios, all by default, in this order: bearer-subprotocol, bearer-header, raw, refused-http, refused-visible.
Environment: PUSH_URL is fetched by GET (with the token as a Bearer) while a scenario waits for a push; without it
something else has to push to this user within ten seconds. DEVICE names the device in `hello`.

Prints one line of JSON: {"ok": true, "results": {"raw": {...}, ...}}; ends with 1 where a scenario failed.
"""

import asyncio
import base64
import json
import os
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE = 10  # seconds, for one event
ENVELOPE = "herenow.v1.json"
RAW = "herenow.v1.raw"


def bearer(secret):
    return "base64url.bearer.herenow." + base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def header(secret):
    return {"Authorization": f"Bearer {secret}"}


def dial(url, protocols, headers=None):
    return connect(
        url, subprotocols=protocols, additional_headers=headers, compression=None, proxy=None, open_timeout=PATIENCE
    )


def check(condition, complaint, seen):
    if not condition:
        raise AssertionError(f"{complaint}; seen: {seen!r}")


async def receive(socket):
    return await asyncio.wait_for(socket.recv(), PATIENCE)


async def frame(socket, kind):
    while True:
        seen = json.loads(await receive(socket))
        if seen["type"] == kind:
            return seen
        check(seen["type"] not in ("kicked", "goodbye", "error"), f"expected {kind}", seen)


async def ask_for_push(token):
    url = os.environ.get("PUSH_URL")
    if url:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, headers=header(token))
        await asyncio.to_thread(lambda: opener.open(request, timeout=PATIENCE).close())


async def envelope(token, dialled):
    """hello, welcome, ping, pong, a push, and a clean end."""
    async with dialled as socket:
        check(socket.subprotocol == ENVELOPE, "the server chose another subprotocol", socket.subprotocol)
        hello = {"type": "hello", "client": "python-websockets"}
        if "DEVICE" in os.environ:
            hello["device"] = os.environ["DEVICE"]
        await socket.send(json.dumps(hello))
        welcome = json.loads(await receive(socket))
        check(welcome["type"] == "welcome", "something came before welcome", welcome)
        await socket.send('{"type":"ping"}')
        await frame(socket, "pong")
        await ask_for_push(token)
        push = await frame(socket, "push")
    check(socket.close_code == 1000, "expected 1000 back", socket.close_code)
    return {"user": welcome["user"], "heartbeat": welcome["heartbeat"], "push": push}


async def bearer_subprotocol(url, token):
    return await envelope(token, dial(url, [ENVELOPE, bearer(token)]))


async def bearer_header(url, token):
    return await envelope(token, dial(url, [ENVELOPE], header(token)))


async def raw(url, token):
    async with dial(url, [RAW, bearer(token)]) as socket:
        check(socket.subprotocol == RAW, "the server chose another subprotocol", socket.subprotocol)
        await ask_for_push(token)
        push = await receive(socket)
        await asyncio.wait_for(await socket.ping(), PATIENCE)
    check(socket.close_code == 1000, "expected 1000 back", socket.close_code)
    binary = isinstance(push, bytes)
    return {"text": push.decode() if binary else push, "binary": binary}


async def refused_http(url, token):
    try:
        async with dial(url, [RAW, bearer(token + "x")]):
            raise AssertionError("a wrong token was let in")
    except InvalidStatus as refusal:
        response = refusal.response
    check(response.status_code == 401, "expected HTTP 401", response.status_code)
    challenge = response.headers.get("WWW-Authenticate", "")
    check(challenge.startswith("Bearer"), "WWW-Authenticate is missing", challenge)
    body = json.loads(response.body)
    check(body["code"] == 401, "the body does not say 401", body)
    return {"status": response.status_code, "body": body}


async def refused_visible(url, token):
    async with dial(url, [ENVELOPE, bearer(token + "x")]) as socket:
        said = json.loads(await receive(socket))
        check(said["type"] == "error", "expected an error frame first", said)
        try:
            extra = await receive(socket)
            raise AssertionError(f"expected the close, seen: {extra!r}")
        except ConnectionClosed:
            check(socket.close_code == 4401, "expected close 4401", socket.close_code)
    return {"error": said["code"], "code": socket.close_code, "reason": socket.close_reason}


SCENARIOS = {
    "bearer-subprotocol": bearer_subprotocol,
    "bearer-header": bearer_header,
    "raw": raw,
    "refused-http": refused_http,
    "refused-visible": refused_visible,
}


async def main(url, token, *chosen):
    results, ok = {}, True
    for name in chosen or SCENARIOS:
        try:
            results[name] = await SCENARIOS[name](url, token)
        except Exception as error:  # one scenario that fails does not hide the others
            ok = False
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps({"ok": ok, "results": results}))
    return 0 if ok else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
