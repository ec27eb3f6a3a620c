"""Connections to a server that cost their client so little that one process has a thousand of them."""
import asyncio
import json
import re
import resource
import time
from typing import NamedTuple

from kill9 import RoundFailure

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
NO_ANSWER, HUNG_UP = 0, -1  # besides the statuses of answers


class Answer(NamedTuple):
    status: int  # or NO_ANSWER within the limit, or HUNG_UP
    head: bytes
    body: bytes
    seconds: float

    def header(self, name):
        match = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r\n]*)", self.head, re.IGNORECASE)
        return match.group(1).decode() if match else None

    @property
    def data(self):
        return json.loads(self.body)["data"]

    @property
    def code(self):
        """Of an error."""
        try:
            return json.loads(self.body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    def __str__(self):
        return f"{self.status} after {self.seconds:.2f} s: {self.body[:300].decode(errors='replace')}"


class Wire(asyncio.Protocol):
    """A keep-alive connection for one request at a time, cheap enough for a thousand of them in one process."""

    def __init__(self, token=None, limit=30.0):
        self.token, self.limit = token, limit
        self.received, self.waiting, self.is_open = bytearray(), None, True
        self.unasked = None  # an answer that came before anything was asked

    @classmethod
    async def connect(cls, port, token=None, limit=30.0):
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(token, limit), "127.0.0.1", port)
        return wire

    def connection_made(self, transport):
        self.transport, self.since = transport, time.monotonic()

    def connection_lost(self, error):
        self.is_open = False
        self.settle(HUNG_UP, b"", b"")

    def data_received(self, data):
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self.received, 0, end + 4)
        whole = end + 4 + (int(length.group(1)) if length else 0)
        if len(self.received) >= whole:
            head, body = bytes(self.received[: end + 2]), bytes(self.received[end + 4 : whole])
            del self.received[:whole]
            self.settle(int(head[9:12]), head, body)

    def settle(self, status, head, body):
        if self.waiting and not self.waiting.done():
            self.waiting.set_result((status, head, body))
        elif status > 0:
            self.unasked = Answer(status, head, body, time.monotonic() - self.since)

    async def ask(self, method, path, body=None, headers=()):
        """Sends a request and waits for its answer, which may be that there is none."""
        if self.unasked:
            answer, self.unasked = self.unasked, None
            return answer
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
            if not any(line.lower().startswith("content-type:") for line in headers):
                lines.append("Content-Type: application/json")
        loop, begin = asyncio.get_running_loop(), time.monotonic()
        if not self.is_open:
            return Answer(HUNG_UP, b"", b"", 0.0)
        self.waiting = loop.create_future()
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        timer = loop.call_later(self.limit, self.settle, NO_ANSWER, b"", b"")
        status, head, text = await self.waiting
        timer.cancel()
        return Answer(status, head, text, time.monotonic() - begin)

    def close(self):
        self.transport.abort()


async def connect_all(port, token, count, limit=30.0):
    wires = []
    for _ in range(0, count, 100):
        more = min(100, count - len(wires))
        wires += await asyncio.gather(*(Wire.connect(port, token, limit) for _ in range(more)))
    return wires


def close_all(wires):
    for wire in wires:
        wire.close()


async def newcomer(port, token, path, limit=30.0):
    """A request on a connection of its own, the connecting included in its time."""
    begin = time.monotonic()
    wire = await Wire.connect(port, token, limit)
    answer = await wire.ask("GET", path)
    wire.close()
    return answer._replace(seconds=time.monotonic() - begin)


def raise_file_limit(wanted):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < wanted:
        raise RoundFailure(f"this needs {wanted} open files, and the system allows {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def for_seconds(seconds, work, count):
    """`count` coroutines of `work(number, is_over)`, until the time is over and each has ended its last request."""
    end = time.monotonic() + seconds
    await asyncio.gather(*(work(number, lambda: time.monotonic() >= end) for number in range(count)))
