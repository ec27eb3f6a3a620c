"""HTTP by hand: requests as whatever bytes they are, and what comes back of them."""
import contextlib
import decimal
import json
import re
import socket
import threading
import time
import urllib.parse
from typing import NamedTuple


class Answer(NamedTuple):
    status: int  # 0 where there was none
    headers: dict
    body: bytes
    seconds: float

    def json(self):
        return json.loads(self.body, parse_float=decimal.Decimal)


class Wire:
    """A keep-alive connection that sends whatever bytes it is given."""

    def __init__(self, port, timeout=30):
        self.port, self.timeout, self.plug, self.buffer = port, timeout, None, b""

    def close(self):
        if self.plug:
            self.plug.close()
        self.plug, self.buffer = None, b""

    def open(self):
        self.close()
        self.plug = socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout)
        self.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, sent, is_head=False):
        """Sends a request and reads its answer; a connection that the server has closed meanwhile is opened anew."""
        is_kept = self.plug is not None
        if not is_kept:
            self.open()
        begin = time.monotonic()
        self.send(sent)
        answer = self.read(begin, is_head)
        if answer.status == 0 and is_kept and answer.seconds < 1:
            self.open()
            begin = time.monotonic()
            self.send(sent)
            answer = self.read(begin, is_head)
        return answer

    def send(self, sent):
        # The server may refuse a body before it is here, and close: what it said is read all the same.
        with contextlib.suppress(OSError):
            self.plug.sendall(sent)

    def read(self, begin, is_head=False):
        try:
            head = self.until(b"\r\n\r\n")
            while head.startswith(b"HTTP/1.1 1"):
                head = self.until(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            status = int(lines[0].split(b" ")[1])
            headers = {}
            for line in filter(None, lines[1:]):
                name, _, value = line.partition(b":")
                headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
            body = b"" if is_head or status in (204, 304) else self.body(headers)
            answer = Answer(status, headers, body, time.monotonic() - begin)
            if headers.get("connection", "").lower() == "close":
                self.close()
            return answer
        except (OSError, ValueError, IndexError):
            self.close()
            return Answer(0, {}, b"", time.monotonic() - begin)

    def body(self, headers):
        if "chunked" in headers.get("transfer-encoding", ""):
            pieces = []
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                pieces.append(self.exactly(size + 2)[:-2])
            self.until(b"\r\n")
            return b"".join(pieces)
        if "content-length" in headers:
            return self.exactly(int(headers["content-length"]))
        pieces = [self.buffer]
        while piece := self.plug.recv(65_536):
            pieces.append(piece)
        self.close()
        return b"".join(pieces)

    def until(self, end):
        while (place := self.buffer.find(end)) < 0:
            self.receive()
        place += len(end)
        found, self.buffer = self.buffer[:place], self.buffer[place:]
        return found

    def exactly(self, count):
        pieces, missing = [self.buffer], count - len(self.buffer)
        while missing > 0:
            piece = self.plug.recv(min(max(missing, 65_536), 1_000_000))
            if not piece:
                raise ConnectionError("the connection ended within an answer")
            pieces.append(piece)
            missing -= len(piece)
        whole = b"".join(pieces)
        self.buffer = whole[count:]
        return whole[:count]

    def receive(self):
        piece = self.plug.recv(65_536)
        if not piece:
            raise ConnectionError("the connection ended")
        self.buffer += piece


def head(method, target, headers):
    lines = [method.encode() + b" " + target + b" HTTP/1.1"] + [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def multipart(parts, boundary=b"xyz"):
    form = b""
    for disposition, content in parts:
        form += b"--" + boundary + b"\r\nContent-Disposition: " + disposition
        form += b"\r\nContent-Type: text/html\r\n\r\n" + content + b"\r\n"
    return form + b"--" + boundary + b"--\r\n"


def quote(text):
    return urllib.parse.quote(text, safe="").encode()


# MARK: a connection of its own


class Exchange(NamedTuple):
    """What came of bytes on a connection of their own."""
    answers: list
    rest: bytes  # behind the last one, that is none
    seconds: float
    ended: str  # by whom: "server", "us" (with nothing more to be had), or "nobody"

    @property
    def statuses(self):
        return [answer.status for answer in self.answers] + [-1] * bool(self.rest)


def raw(port, text, wait=1.5):
    """Sends bytes on a connection of their own, and takes all that comes. One that said that it ends has `wait` seconds
    for it; on another one a second answer would follow at once, and then it is we who end it."""
    begin, received, ended = time.monotonic(), b"", "nobody"
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as plug:
        sender = threading.Thread(target=send_quietly, args=(plug, text), daemon=True)
        sender.start()
        try:
            while piece := plug.recv(65_536):
                received += piece
                plug.settimeout(wait if any(map(says_end, answers_in(received, begin)[0])) else 0.06)
            ended = "server"
        except TimeoutError:
            # What was sent waits for more; without more it is over.
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_WR)
                plug.settimeout(wait)
                had_its_time = any(map(says_end, answers_in(received, begin)[0]))
                while piece := plug.recv(65_536):
                    received += piece
                if not had_its_time:
                    ended = "us"
        except OSError:
            ended = "server"
    sender.join()
    return Exchange(*answers_in(received, begin), time.monotonic() - begin, ended)


def send_quietly(plug, text):
    with contextlib.suppress(OSError):
        plug.sendall(text)


def answers_in(received, begin):
    """All answers in what came, and what is behind them; those within a body are passed over."""
    found, rest = [], received
    while (match := re.match(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n", rest)) and (end := rest.find(b"\r\n\r\n")) >= 0:
        lines = [line.partition(b":") for line in rest[:end].split(b"\r\n")[1:]]
        headers = {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, _, value in lines}
        status, size = int(match[1]), int(headers.get("content-length", 0))
        body = b"" if status in (100, 204, 304) else rest[end + 4 : end + 4 + size]
        if status != 100:
            found.append(Answer(status, headers, body, time.monotonic() - begin))
        rest = rest[end + 4 + len(body):]
    return found, rest if found else b""


# MARK: who ends it


def asks_for_end(headers):
    """Whether an answer to these headers must be the last of its connection."""
    said = b",".join(value for name, value in headers if name.lower() == b"connection")
    wants_another = any(name.lower() == b"upgrade" for name, _ in headers)
    return wants_another or b"close" in [word.strip() for word in said.lower().split(b",")]


def says_end(answer):
    return answer.headers.get("connection", "").lower() == "close"


def is_bare(answer):
    """Whether it is of the parser, from below the server, which promises nothing more."""
    return answer.status == 400 and answer.headers == {"connection": "close", "content-length": "0"}
