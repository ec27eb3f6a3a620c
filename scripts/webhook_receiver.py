#!/usr/bin/env python3
"""A local HTTP server for webhooks, which remembers every request; for scripts and by hand.

    scripts/webhook_receiver.py [--port 9999] [--status 200] [--delay 0] [--failures 0] [--failure-status 500]

    with Receiver() as receiver:
        ...  # a webhook with the url receiver.url("/path")
        for delivery in receiver.deliveries():
            ...

One thread serves all connections, kept alive, so that it is quicker than what it measures and any number may hang.
"""
import argparse
import collections
import contextlib
import heapq
import itertools
import random
import re
import selectors
import socket
import threading
import time
from http import HTTPStatus
from typing import NamedTuple

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
WEBHOOK_ID = re.compile(rb"\r\nwebhook-id:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
HANG_UP = 0
LONGEST_WAIT = 0.02  # until a changed delay is noticed


class Delivery(NamedTuple):
    path: str
    id: str | None  # of the header webhook-id
    body: bytes
    at: float  # time.monotonic() of its arrival
    status: int  # of the answer that it gets; HANG_UP where the connection is closed instead


class Connection:
    def __init__(self, plug):
        self.plug, self.bytes, self.is_open = plug, bytearray(), True

    def next_request(self):
        """The path, the webhook-id and the body of the first whole request, which is taken out; else None."""
        end = self.bytes.find(b"\r\n\r\n")
        if end < 0:
            return None
        end += 4
        if CHUNKED.search(self.bytes, 0, end):
            raise ValueError("a body in chunks is not understood here")
        length = LENGTH.search(self.bytes, 0, end)
        whole = end + (int(length.group(1)) if length else 0)
        if len(self.bytes) < whole:
            return None
        path = self.bytes[: self.bytes.find(b"\r\n")].split(b" ")[1].decode()
        match = WEBHOOK_ID.search(self.bytes, 0, end)
        id = match.group(1).decode() if match else None
        body = bytes(self.bytes[end:whole])
        del self.bytes[:whole]
        return path, id, body


class Receiver:
    """Serves on a port of 127.0.0.1 until the end of a `with`. Its attributes may be set while it does.

    - status: of the answers
    - delay: seconds from a request to its answer; with None no request is answered until there is a number again
    - failures: the share of requests, from 0 to 1, that are answered with `failure_status` (HANG_UP: not at all)
    """

    def __init__(self, status=200, delay=0.0, failures=0.0, failure_status=500, port=0, seed=None):
        self.status, self.delay, self.failures, self.failure_status = status, delay, failures, failure_status
        self.draw = random.Random(seed)
        self.lock = threading.Lock()
        self.received = []
        self.held = collections.deque()  # (connection, status), while there is no delay
        self.waiting = []  # a heap of (when, number, connection, status)
        self.numbers = itertools.count()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.is_over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def deliveries(self):
        """All requests so far, in the order of their arrival."""
        with self.lock:
            return list(self.received)

    @property
    def count(self):
        return len(self.received)

    def record(self, delivery):
        with self.lock:
            self.received.append(delivery)

    # MARK: the thread

    def serve(self):
        while not self.is_over:
            until_next = self.waiting[0][0] - time.monotonic() if self.waiting else LONGEST_WAIT
            for key, _ in self.selector.select(min(max(until_next, 0), LONGEST_WAIT)):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.read(key.data)
            self.answer_what_is_due()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                plug, _ = self.listener.accept()
                plug.setblocking(False)
                plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(plug, selectors.EVENT_READ, Connection(plug))

    def read(self, connection):
        try:
            received = connection.plug.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            return self.close(connection)
        connection.bytes += received
        try:
            while connection.is_open and (request := connection.next_request()):
                self.take(connection, *request)
        except (ValueError, IndexError):
            self.send(connection, HTTPStatus.BAD_REQUEST)
            self.close(connection)

    def take(self, connection, path, id, body):
        is_failure = self.failures > 0 and self.draw.random() < self.failures
        status, delay = self.failure_status if is_failure else self.status, self.delay
        self.record(Delivery(path, id, body, time.monotonic(), status))
        if delay is None:
            self.held.append((connection, status))
        elif delay > 0:
            heapq.heappush(self.waiting, (time.monotonic() + delay, next(self.numbers), connection, status))
        else:
            self.answer(connection, status)

    def answer_what_is_due(self):
        while self.held and self.delay is not None:
            self.answer(*self.held.popleft())
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, connection, status = heapq.heappop(self.waiting)
            self.answer(connection, status)

    def answer(self, connection, status):
        if status == HANG_UP:
            self.close(connection)
        else:
            self.send(connection, status)

    def send(self, connection, status):
        if not connection.is_open:
            return
        body = b"" if status == 204 else b"ok"
        length = b"" if status == 204 else b"Content-Length: 2\r\n"
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\n".encode()
        try:
            connection.plug.send(head + length + b"\r\n" + body)
        except OSError:
            self.close(connection)

    def close(self, connection):
        if connection.is_open:
            connection.is_open = False
            self.selector.unregister(connection.plug)
            connection.plug.close()


REASONS = {status.value: status.phrase for status in HTTPStatus}


class Printer(Receiver):
    """Prints each request instead of keeping it."""

    def record(self, delivery):
        print(f"{delivery.status} {delivery.path} {delivery.id} {delivery.body.decode(errors='replace')}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--status", type=int, default=200, help="of the answers")
    parser.add_argument("--delay", type=float, default=0, help="seconds before each answer")
    parser.add_argument("--failures", type=float, default=0, help="the share that fails, from 0 to 1")
    parser.add_argument("--failure-status", type=int, default=500, help="of those; 0 closes the connection instead")
    options = parser.parse_args()
    receiver = Printer(options.status, options.delay, options.failures, options.failure_status, options.port)
    with contextlib.suppress(KeyboardInterrupt), receiver:
        print(f"listening on {receiver.url('/')}", flush=True)
        receiver.thread.join()


if __name__ == "__main__":
    main()
