"""Clients that send a byte now and then; wrong is one that is kept past the deadline of what it sends."""
import collections
import contextlib
import socket
import threading
import time

from app import APP
from routes import ADMIN, SLOW

BODY_SECONDS, HEAD_SECONDS = 5, 60  # server.request_timeout_s as we set it; the other one is fixed


class SlowClients:
    """Clients that send a byte now and then: many at once, while everything else goes on."""

    def __init__(self, judge, count, waits_for_heads):
        token = b"Authorization: Bearer " + judge.token(ADMIN).encode() + b"\r\n"
        start = b"POST /api/" + APP.encode() + b"/tag HTTP/1.1\r\nHost: localhost\r\n" + token
        form = b"POST /api/" + APP.encode() + b"/_files/upload HTTP/1.1\r\nHost: localhost\r\n"
        form += b"Authorization: Bearer " + judge.token(SLOW).encode() + b"\r\n"
        form += b"Content-Type: multipart/form-data; boundary=xyz\r\nContent-Length: 1000000\r\n\r\n--xyz\r\n"
        kinds = {
            "a slow body": (
                start + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", b" ", BODY_SECONDS
            ),
            "a slow body in chunks": (
                start + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n",
                BODY_SECONDS
            ),
            "a body that does not come": (
                start + b"Content-Type: application/json\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", b"",
                BODY_SECONDS
            ),
            "a slow upload": (form, b"x", BODY_SECONDS),
            "a slow body of an answered request": (
                b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"x", BODY_SECONDS
            ),
        }
        if waits_for_heads:
            kinds |= {
                "a slow head": (b"GET /health HTTP/1.1\r\nX: ", b"x", HEAD_SECONDS),
                "a slow first line": (b"GET /", b"x", HEAD_SECONDS),
                "slow headers": (b"GET /health HTTP/1.1\r\n", b"X: y\r\n", HEAD_SECONDS),
                "nothing sent": (b"", b"", HEAD_SECONDS),
                "nothing after an answer": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"", HEAD_SECONDS),
                "slow empty lines": (b"\r\n", b"\r\n", HEAD_SECONDS),
            }
        self.judge, self.clients, self.lasted = judge, [], {}
        self.port = judge.server.port
        for name, (first, more, limit) in kinds.items():
            for _ in range(count):
                self.clients.append((name, first, more, limit))
        self.is_over = threading.Event()
        self.threads = [
            threading.Thread(target=self.work, args=(number, *client), daemon=True)
            for number, client in enumerate(self.clients)
        ]
        for thread in self.threads:
            thread.start()

    def work(self, number, name, first, more, limit):
        begin = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as plug:
                plug.sendall(first)
                while not self.is_over.is_set():
                    # A deadline is looked at eight times within its length.
                    if time.monotonic() - begin > limit * 1.125 + 2:
                        self.judge.wrong(
                            f"kept too long: {name}",
                            f"open after {time.monotonic() - begin:.1f} s, the deadline is {limit} s"
                        )
                        return
                    with contextlib.suppress(TimeoutError):
                        if not plug.recv(65_536):
                            break
                    plug.sendall(more)
        except OSError:
            pass
        self.lasted[number] = (name, time.monotonic() - begin)

    def end(self):
        """Waits for all of them, and says how long each kind was kept."""
        longest = max(limit for *_, limit in self.clients) * 1.125 + 5
        until = time.monotonic() + longest
        for thread in self.threads:
            thread.join(max(0.1, until - time.monotonic()))
        self.is_over.set()
        kept = collections.defaultdict(float)
        for name, seconds in self.lasted.values():
            kept[name] = max(kept[name], seconds)
        if not kept:
            self.judge.wrong("no slow client was tried", "")
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(kept.items()))
