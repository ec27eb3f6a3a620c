"""Connections that carry very much or end early: many requests at once, halves of them, bodies about the limit."""
import socket
import struct
import threading
import time

from app import APP, NOBODY
from judge import alive
from probes import creating, smuggled, tags
from routes import ADMIN
from wire import Wire, head, raw, send_quietly

MAXIMUM_BODY = 10 * 1024 * 1024


def pipelining(judge, count):
    """Many requests at once on one connection: as many answers, in their order, each the right one."""
    requests, expected = [], []
    for number in range(count):
        id = f"pipelined-{number}".encode()
        method, target, body, status = judge.draw.choice([
            ("GET", b"/health", None, 200), ("GET", b"/nothing", None, 404),
            ("GET", f"/api/{APP}/every?per_page=2".encode(), None, 200),
            ("POST", f"/api/{APP}/tag".encode(), b"{", 400),
            ("POST", f"/api/{APP}/tag".encode(), b'{"label": 5}', 422),
            ("DELETE", f"/api/{APP}/tag/{NOBODY}".encode(), None, 404), ("POST", b"/health", b"{}", 405),
            ("HEAD", b"/health", None, 200),
        ])
        requests.append(head(method, target, judge.fill(ADMIN, [(b"X-Request-Id", id)], body, [])) + (body or b""))
        expected.append((id.decode(), status, method == "HEAD"))
    wire = Wire(judge.server.port)
    wire.open()
    sender = threading.Thread(target=send_quietly, args=(wire.plug, b"".join(requests)), daemon=True)
    begin = time.monotonic()
    sender.start()
    for id, status, is_head in expected:
        answer = wire.read(begin, is_head)
        judge.statuses[answer.status] += 1
        if (answer.headers.get("x-request-id"), answer.status) != (id, status):
            judge.wrong(
                "answers of a pipeline are not those of its requests",
                f"{id}: {status} expected, {answer.status} {answer.headers}"
            )
            break
    wire.close()
    judge.positions["abuse"] += count


def early_ends(judge, count):
    """Connections that end in the middle of a request or of an answer, gently and not; none of it leaves a row."""
    request = smuggled(judge, "early")
    listing = head("GET", f"/api/{APP}/_openapi.json".encode(), judge.fill(ADMIN, [], None, []))
    before = tags(judge)
    for number in range(count):
        is_reset, is_answer = number % 2 == 0, number % 3 == 0
        plug = socket.create_connection(("127.0.0.1", judge.server.port), timeout=5)
        if is_reset:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if is_answer:
            plug.sendall(listing * 5)
            plug.recv(judge.draw.randrange(1, 2_000))
        else:
            plug.sendall(request[: judge.draw.randrange(1, len(request) - 1)])
        plug.close()
        judge.positions["abuse"] += 1
    time.sleep(0.2)
    alive(judge, "early ends")
    if (now := tags(judge)) != before:
        judge.wrong("half a request was carried out", f"{now - before} rows more after {count} early ends")


def large_bodies(judge, stage):
    """Bodies at the limit and one byte past it, with a length and in chunks."""
    for extra, must in ((0, 422), (1, 413), (1_000_000, 413)):
        size = MAXIMUM_BODY + extra
        body = b'{"label": 5, "x": "' + b"y" * (size - 21) + b'"}'
        assert len(body) == size
        for name, framing, text in (
            ("length", b"Content-Length: %d\r\n" % size, body),
            (
                "chunks", b"Transfer-Encoding: chunked\r\n",
                b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in split(body, 100_000)) + b"0\r\n\r\n"
            ),
        ):
            exchange = raw(judge.server.port, creating(judge, framing, text), wait=4)
            judge.positions["abuse"] += 1
            if exchange.statuses[:1] != [must] and not (must == 413 and not exchange.answers):
                judge.wrong(
                    "a large body",
                    f"{size} bytes by {name}: {exchange.statuses} in {exchange.seconds:.1f} s, not {must}"
                )
    alive(judge, "large bodies")


def split(text, size):
    return [text[place : place + size] for place in range(0, len(text), size)]
