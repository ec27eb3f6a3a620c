"""Who asks for the end of a connection, in any form, gets it behind the answer and nothing more; others do not."""
import itertools
import time

from judge import SLOWEST
from probes import judge_exchange, smuggled, tags
from wire import Wire, asks_for_end, head, raw, says_end

ENDINGS = [
    [], [(b"Connection", b"keep-alive")], [(b"Connection", b"x")], [(b"Connection", b"closed")], [(b"Connection", b"")],
    [(b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")], [(b"Upgrade", b"h2c")], [(b"Upgrade", b"")],
    [
        (b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMAAABkAARAAAAAAAIAAAAA")
    ],
    [
        (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==")
    ],
    [(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")], [(b"Upgrade", b"TLS/1.0, HTTP/1.1")],
    [(b"Connection", b"keep-alive, Upgrade"), (b"uPGRADE", b"h2c")], [(b"Connection", b"close")],
    [(b"Connection", b"Close")], [(b"Connection", b"CLOSE")], [(b"Connection", b"close, keep-alive")],
    [(b"Connection", b"keep-alive, close")], [(b"Connection", b"keep-alive,close")], [(b"Connection", b",close,")],
    [(b"Connection", b"x ,\tclose\t, y")], [(b"cONNECTION", b"cLOSE")], [(b"Connection", b"close, close")],
    [(b"Connection", b"close"), (b"Connection", b"x")], [(b"Connection", b"x"), (b"Connection", b"close")],
    [(b"Connection", b"keep-alive"), (b"Connection", b"close")],
]


def endings(judge):
    """A connection goes on after an answer, or ends with it, says so, and does nothing of what was sent behind it."""
    requests = [("GET", b"/health", None), ("POST", b"/health", b"{}"), ("GET", b"/nothing", None)]
    before = tags(judge)
    for more, (method, target, body), version in itertools.product(ENDINGS, requests, (b"HTTP/1.1", b"HTTP/1.0")):
        length = [] if body is None else [(b"Content-Length", b"2")]
        sent = head(method, target, [(b"Host", b"localhost"), *more, *length]) + (body or b"")
        sent = sent.replace(b" HTTP/1.1\r\n", b" " + version + b"\r\n", 1)
        name = f"{method} {target} {version} with {more}"
        judge.positions["abuse"] += 1
        if version == b"HTTP/1.1" and not asks_for_end(more):
            goes_on(judge, name, sent)
            continue
        ends(judge, name, sent)
        if (now := tags(judge)) != before:
            judge.wrong("a request behind the last one was carried out", name)
            before = now


def ends(judge, name, sent):
    exchange = raw(judge.server.port, sent + smuggled(judge, "smuggled"), wait=1)
    label = f"{name}: {exchange.statuses} ended by {exchange.ended}, {exchange.seconds:.2f} s, {exchange.answers}"
    judge_exchange(judge, "an end", label, exchange, sent)
    if exchange.statuses not in ([200], [404], [405]):
        judge.wrong("not one answer before the end", label)
    if exchange.ended != "server" or not all(map(says_end, exchange.answers)):
        judge.wrong("not the end, though the client asked for it", label)
    if "HTTP/1.0" in name and any("transfer-encoding" in answer.headers for answer in exchange.answers):
        judge.wrong("chunks for HTTP/1.0", label)


def goes_on(judge, name, sent):
    wire = Wire(judge.server.port, timeout=SLOWEST)
    wire.open()
    wire.send(sent)
    first = wire.read(time.monotonic())
    wire.send(head("GET", b"/health", [(b"Host", b"localhost")])) if wire.plug else None
    second = wire.read(time.monotonic()) if wire.plug else None
    if first.status not in (200, 404, 405) or not second or second.status != 200 or second.seconds > 1:
        judge.wrong("a connection that is to go on does not", f"{name}: {first}, then {second}")
    wire.close()
