"""The floor of a request on SQLite: its own statements in a bare loop, without HTTP, JSON, rules or another thread.

The statements are those that Rocket sends: one request of each kind is made to a server that is started with
sqlite_statements.c, on a copy of the data, and what it has run is run again and again by sqlite_loop.c, on another copy,
with other keys, other texts and new identifiers each time.
"""
import json
import os
import re
import shutil
import subprocess
import time

from measure import HERE, Client, Server, fail, free_port, sign_in

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MARKER = "A text of the floor"


def compiled(source, folder, *flags):
    compiler = next(filter(None, map(shutil.which, ["clang", "cc", "gcc"])), None)
    if not compiler:
        fail("there is no C compiler here: neither clang, cc nor gcc is in the PATH")
    target = folder / source.removesuffix(".c")
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-o", target, HERE / source, *flags], capture_output=True, text=True, check=False
    )
    if done.returncode:
        fail(f"{source} does not compile: {done.stderr[:500]}")
    return target


class Floor:
    """Measured in turns with the servers, as if it were one."""

    name = "bare SQLite"

    def __init__(self, peer, options, directory, calls):
        """`calls`: of each kind its method, path and body; `peer`: whose data it is, at rest."""
        self.directory = directory / "floor"
        self.directory.mkdir()
        self.server = self
        self.keys = peer.directory / "tickets.txt"
        known = set(UUID.findall("".join((peer.directory / name).read_text() for name in ("tickets.txt", "customers.txt"))))
        self.loop = compiled("sqlite_loop.c", self.directory, "-lsqlite3")
        data = peer.server.log.parent
        shutil.copytree(data, self.directory / "seed", ignore=shutil.ignore_patterns("*.sock"))
        self.database = self.record(options.rocket, calls, peer.ticket, known)

    def record(self, rocket, calls, ticket, known):
        """Leaves a file of statements for each call. Returns the path of the app's database."""
        recorder = compiled("sqlite_statements.c", self.directory, "-shared", "-fPIC", "-ldl", "-lsqlite3")
        statements, port = self.directory / "statements", free_port()
        folder = self.directory / "recorded"
        shutil.copytree(self.directory / "seed", folder)
        environment = os.environ | {
            "LD_PRELOAD": str(recorder), "SQLITE_STATEMENTS": str(statements), "ROCKET_LOG_LEVEL": "error",
            "ROCKET_DATABASE_SYNCHRONOUS": "normal",
        }
        command = [rocket, "serve", "--port", str(port), "--data-dir", str(folder)]
        with Server(command, port, "/ready", self.directory, environment) as server:
            client = Client(port, sign_in(server))
            for name, (method, path, body) in calls.items():
                # The first of its kind reads what is not of the request.
                client.call(method, path, body and json.loads(json.dumps(body).replace(MARKER, "Something else")))
                time.sleep(0.5)
                statements.write_bytes(b"")
                client.call(method, path, body)
                time.sleep(0.5)
                texts = [text for text in statements.read_text(encoding="utf-8").split("\x1e") if text]
                if not texts:
                    fail(f"{name}: no statement was recorded")
                self.file(name).write_text("\x1e".join(templates(texts, ticket, known)), encoding="utf-8")
        return next(path.name for path in self.directory.glob("seed/**/bench*.db"))

    def file(self, call):
        return self.directory / f"{re.sub(r'[^a-z0-9]+', '-', call)}.sql"

    def does(self, call):
        return self.file(call).exists()

    def measure(self, call, _connections, seconds, _script):
        copy = self.directory / "run"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.directory / "seed", copy)
        database = next(copy.glob(f"**/{self.database}"))
        done = subprocess.run(
            [self.loop, database, self.file(call), self.keys, str(seconds)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            fail(f"{self.name}, {call}: {done.stderr.strip()}")
        runs, elapsed, processor, read = done.stdout.split()
        if call.startswith(("get", "list")) and int(read) < 100 * int(runs):
            fail(f"{self.name}, {call}: it reads no rows")
        return {
            "requests": int(runs), "per_second": int(runs) / float(elapsed), "p99_ms": 0.0,
            "cpu_us": float(processor) / int(runs) * 1e6,
        }

    def memory_megabytes(self):
        """Nothing that is of interest."""
        return 0.0


def templates(texts, ticket, known):
    """Statements with places for what differs each time; within a literal that is a concatenation."""
    new = {}
    def place(match):
        text = match[0]
        if text == ticket:
            return "' || ?1 || '"
        if text in known:
            return text
        return f"' || ?{new.setdefault(text, len(new) + 3)} || '"

    return [UUID.sub(place, text).replace(MARKER, "' || ?2 || '") for text in texts]
