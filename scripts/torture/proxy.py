"""A TCP proxy on loopback that does to the bytes what bad networks do, and counts it.

    with Proxy(("127.0.0.1", 5432), seed=1) as proxy:
        ...  # whoever connects to proxy.port speaks with the target
        proxy.set(Faults(delay=(0.05, 0.2)))
        proxy.reset_all()
        proxy.set(CALM)
        assert proxy.counts["delayed"]

One thread serves all connections. Whatever it is told holds for connections that are there and for new ones:

- delay: each piece waits for so many seconds, drawn between two; the order is kept
- bytes_per_second: no direction of a connection is quicker
- swallow: UP (to the target) or DOWN: what goes there is taken and thrown away. A connection that has lost bytes so
  stays deaf on that side until somebody ends it, as behind a firewall that forgot it
- cut: this share of the pieces is cut at some byte, of which the first part arrives, and the connection is reset
- reset: this share of the pieces is thrown away, and the connection is reset
- black_hole: nothing is read and nothing is said; new connections are taken and hear nothing. What was said meanwhile
  arrives when it is over
- refuse: nobody listens
"""
import collections
import contextlib
import queue
import random
import selectors
import socket
import struct
import threading
import time
from typing import NamedTuple

UP, DOWN = "up", "down"
PIECE = 65_536
LONGEST_WAIT = 0.02  # until something that was set is noticed
MOST_WAITING = 1_048_576  # bytes of one direction that wait here, before no more are read


class Faults(NamedTuple):
    delay: tuple = (0.0, 0.0)
    bytes_per_second: int = 0  # 0: as quick as it goes
    swallow: str = ""
    cut: float = 0.0
    reset: float = 0.0
    black_hole: bool = False
    refuse: bool = False


CALM = Faults()


class Way:
    """One direction of a connection."""

    def __init__(self, name, source, drain):
        self.name, self.source, self.drain = name, source, drain
        self.waiting = collections.deque()  # (when, bytes)
        self.is_deaf = self.is_over = False
        self.free_at = 0.0  # by when all that waits has had its time

    @property
    def load(self):
        return sum(len(piece) for _, piece in self.waiting)


class Link:
    """A connection of somebody's, and the one to the target that belongs to it."""

    def __init__(self, near):
        self.near, self.far, self.ways, self.is_open = near, None, [], True

    def join(self, far):
        self.far = far
        self.ways = [Way(UP, self.near, far), Way(DOWN, far, self.near)]


class Proxy:
    """Serves on a port of 127.0.0.1 until the end of a `with`."""

    def __init__(self, target, seed=None, port=0):
        self.target, self.draw = target, random.Random(seed)
        self.counts = collections.Counter()
        self.faults, self.orders = CALM, queue.SimpleQueue()
        self.links = set()
        self.listener = self.listen(port)
        self.port = self.listener.getsockname()[1]
        self.is_over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def set(self, faults):
        """Returns when it is in force."""
        self.order(lambda: self.change(faults))

    def reset_all(self):
        """Resets all connections there are. Returns how many."""
        return self.order(lambda: sum([self.end(link, "reset") for link in list(self.links)]))

    def connections(self):
        """Those that reach the target."""
        return self.order(lambda: sum(link.far is not None for link in self.links))

    def order(self, work):
        """Runs it on the thread, between two pieces."""
        done = queue.SimpleQueue()
        self.orders.put((work, done))
        return done.get(timeout=30)

    # MARK: the thread

    def listen(self, port):
        for _ in range(200):
            try:
                listener = socket.create_server(("127.0.0.1", port), backlog=1024)
            except OSError:
                time.sleep(0.02)  # an outgoing connection of somebody else has the port for now
                continue
            listener.setblocking(False)
            return listener
        raise OSError(f"port {port} is not free any more")

    def serve(self):
        while not self.is_over:
            self.obey()
            for plug in self.readable():
                if plug is self.listener:
                    self.accept()
                else:
                    self.read(plug)
            self.deliver()
        for link in list(self.links):
            self.end(link, "")
        if self.listener:
            self.listener.close()

    def obey(self):
        with contextlib.suppress(queue.Empty):
            while True:
                work, done = self.orders.get_nowait()
                done.put(work())

    def change(self, faults):
        was, self.faults = self.faults, faults
        if faults.refuse and self.listener:
            self.listener.close()
            self.listener = None
            self.counts["refusing"] += 1
        if not faults.refuse and self.listener is None:
            self.listener = self.listen(self.port)
        if faults.black_hole and not was.black_hole:
            self.counts["silenced"] += len(self.links)
        if was.black_hole and not faults.black_hole:
            for link in [link for link in self.links if link.far is None]:
                self.connect(link)

    def readable(self):
        """Sockets of which something can be read, after a moment at most."""
        with selectors.PollSelector() as selector:  # which is made anew without system calls
            if self.listener:
                selector.register(self.listener, selectors.EVENT_READ)
            self.sources = {}
            for link in self.links if not self.faults.black_hole else ():
                for way in link.ways:
                    if not way.is_over and way.load < MOST_WAITING:
                        selector.register(way.source, selectors.EVENT_READ)
                        self.sources[way.source] = (link, way)
            return [key.fileobj for key, _ in selector.select(self.until_next())]

    def until_next(self):
        waits = [way.waiting[0][0] for link in self.links for way in link.ways if way.waiting]
        return min([LONGEST_WAIT, *(max(0.0, when - time.monotonic()) for when in waits)])

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                near, _ = self.listener.accept()
                self.counts["connections"] += 1
                link = Link(near)
                self.links.add(link)
                if self.faults.black_hole:
                    self.counts["silenced"] += 1
                else:
                    self.connect(link)

    def connect(self, link):
        try:
            far = socket.create_connection(self.target, timeout=2)
        except OSError:
            self.end(link, "unreachable")
            return
        for plug in (link.near, far):
            plug.setblocking(False)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.join(far)

    def read(self, plug):
        link, way = self.sources[plug]
        if not link.is_open:
            return
        try:
            piece = plug.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            self.take(link, way, piece)
        else:
            way.is_over = True

    def take(self, link, way, piece):
        faults = self.faults
        if faults.reset and self.draw.random() < faults.reset:
            self.end(link, "reset")
        elif faults.swallow == way.name or way.is_deaf:
            way.is_deaf = True
            self.counts["swallowed"] += len(piece)
        elif faults.cut and self.draw.random() < faults.cut:
            self.write(link, way, piece[: self.draw.randrange(len(piece))])
            self.end(link, "cut")
        else:
            way.waiting.append((self.when(way, piece), piece))

    def when(self, way, piece):
        """Not before what was read before it."""
        faults, when = self.faults, time.monotonic()
        if faults.delay[1]:
            when += self.draw.uniform(*faults.delay)
            self.counts["delayed"] += 1
        when = max(when, way.free_at)
        if faults.bytes_per_second:
            when += len(piece) / faults.bytes_per_second
            self.counts["throttled"] += len(piece)
        way.free_at = when
        return when

    def deliver(self):
        if self.faults.black_hole:
            return
        for link in list(self.links):
            for way in link.ways:
                while link.is_open and way.waiting and way.waiting[0][0] <= time.monotonic():
                    when, piece = way.waiting.popleft()
                    left = self.write(link, way, piece)
                    if left:
                        way.waiting.appendleft((when, left))
                        break
            # Who has said all closes; the other side has heard it all by then.
            if any(way.is_over and not way.waiting for way in link.ways):
                self.end(link, "")

    def write(self, link, way, piece):
        """Returns what was not taken."""
        try:
            return piece[way.drain.send(piece):]
        except BlockingIOError:
            return piece
        except OSError:
            self.end(link, "")
            return b""

    def end(self, link, why):
        """With a RST where there is a reason for it. Returns whether it was open."""
        if not link.is_open:
            return False
        link.is_open = False
        self.links.discard(link)
        if why:
            self.counts[why] += 1
        for plug in (link.near, link.far):
            if plug is None:
                continue
            if why:
                with contextlib.suppress(OSError):
                    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plug.close()
        return True
