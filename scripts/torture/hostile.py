#!/usr/bin/env python3
"""Sends bad input to every surface of a Rocket server, and looks what it makes of it.

    scripts/torture/hostile.py [ROCKET] [--quick] [--seed 1] [--only bodies,values]
    scripts/with_postgres.sh scripts/torture/hostile.py [ROCKET] --store postgres

The documents, strings and numbers of corpus.py go to every route of Tests/RocketServerTests/access-matrix.txt (a route
that is not driven is a failure): as the whole body, as the value of each member of a body that is right otherwise, in
every header that the server reads, in every parameter and every part of a path; as an administrator, as a user, without
a token. Then HTTP itself is abused over raw sockets. Wrong is

- an answer of 500 or above, none at all, one later than 2 seconds, one without the error envelope, one that tells of
  SQL, files or stacks; the end of the process; a line of an error in its log
- a request accepted that must be refused (what is no JSON, a bad framing, a type that can't hold the value), or a value
  that is stored as another one; a status that the matrix does not give who asks
- a refused request that changed a row: the rows of the app and of the platform are compared before and after it
- a slow client that is kept longer than the server's deadlines, or that others feel
- memory that grows by more than GROWTH_MB while the worst of it is repeated

--quick does a sample of it within a minute: every route and every position, but not with everything. Only the whole run
waits for the deadline of a request's head, which is a minute.
"""
import collections
import contextlib
import datetime
import decimal
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zlib
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import corpus
import tries
from kill9 import Client, RoundFailure, Server
from webhook_receiver import Receiver

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
APP = "desk"
SLOWEST = 2.0  # seconds
BODY_SECONDS, HEAD_SECONDS = 5, 60  # server.request_timeout_s as we set it; the other one is fixed
MAXIMUM_BODY = 10 * 1024 * 1024
GROWTH_MB, MOST_MB = 48, 1_024
NOBODY = "11111111-1111-4111-8111-111111111111"
ADMIN, USER, ANONYMOUS, PLATFORM = "admin", "user", "anonymous", "platform"
LEAKS = re.compile(
    rb"SQLITE_|SQLite error|sqlite3?_|GRDB|libpq|pg_catalog|PGRES|SQLSTATE|syntax error at|"
    rb"\bSELECT .{1,200}? FROM|\bINSERT INTO|\bUPDATE \"|DELETE FROM|constraint failed|"
    rb"violates .{1,40} constraint|Fatal error|\.swift\b|"
    rb"stack trace|0x[0-9a-f]{9,}|/usr/lib|NIOCore|Hummingbird|Swift\.",
    re.IGNORECASE,
)
CODES = {
    "INVALID_PAYLOAD": 400, "INVALID_PARAMETER": (400, 416), "UNKNOWN_FIELD": 400, "UNAUTHORIZED": 401,
    "FORBIDDEN": 403, "UNKNOWN_ENTITY": 404,
    "NOT_FOUND": 404, "APP_NOT_FOUND": 404, "CONFLICT": 409, "PRECONDITION_FAILED": 412, "PAYLOAD_TOO_LARGE": 413,
    "VALIDATION_FAILED": 422,
    "INVALID_STATE": 422, "WEBHOOK_FAILED": 502, "RATE_LIMITED": 429, "INTERNAL_ERROR": 500,
    "UNSUPPORTED_MEDIA_TYPE": 415, "METHOD_NOT_ALLOWED": 405,
    "UNAVAILABLE": 503,
}


# MARK: the wire


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


# MARK: what is stored


class Rows:
    """The rows of the app and of the platform, read past the server: `stamp` is cheap and says that something was
    written somewhere; `digest` says what is there."""

    # What works in the background writes there, or a refused request honestly does.
    PASSED_OVER = {
        "_events", "_workflow_instances", "_workflow_history", "_workflow_assignees", "_workflow_versions",
        "_workflow_schedules", "_meta", "_file_uploads",
        "sqlite_sequence",
    }
    COUNTED = {"_history", "_webhook_logs"}  # these grow, and what is in them is changed by deliveries alone
    PASSED_OVER_COLUMNS = {"work_due_at", "work_noted_at", "lease_until"}


class SQLiteRows(Rows):
    def __init__(self, directory):
        self.paths = [directory / "data/apps" / f"{APP}.db", directory / "data/management.db"]
        self.databases = [
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None) for path in self.paths
        ]
        for database in self.databases:
            database.text_factory = bytes

    def stamp(self):
        return [database.execute("PRAGMA data_version").fetchone()[0] for database in self.databases]

    def digest(self):
        return {
            f"{path.stem} {name.decode()}": self.table(database, name.decode())
            for path, database in zip(self.paths, self.databases)
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            if name.decode() not in self.PASSED_OVER
        }

    def table(self, database, table):
        if table in self.COUNTED:
            return database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        cursor = database.execute(f'SELECT * FROM "{table}"')
        shown = [place for place, column in enumerate(cursor.description) if column[0] not in self.PASSED_OVER_COLUMNS]
        rows = sorted(repr([row[place] for place in shown]) for row in cursor)
        return len(rows), hashlib.sha1("\n".join(rows).encode()).hexdigest()[:12]


class PostgresRows(Rows):
    """Asks through psql, which stays open."""

    def __init__(self, url):
        self.consoles = [self.console(re.sub(r"/[^/]*$", f"/{name}", url)) for name in (f"rocket_{APP}", "rocket")]

    @staticmethod
    def console(url):
        return subprocess.Popen(
            ["psql", url, "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1
        )

    @staticmethod
    def lines(console, statement):
        console.stdin.write(f"{statement};\n\\echo -- end\n")
        console.stdin.flush()
        return list(iter(lambda: console.stdout.readline().rstrip("\n"), "-- end"))

    def stamp(self):
        return self.lines(self.consoles[0], "SELECT pg_snapshot_xmax(pg_current_snapshot())")

    def digest(self):
        return {
            f"{number} {line.split('|')[0]}": line for number,
            console in enumerate(self.consoles) for line in self.all(console)
        }

    def all(self, console):
        columns = collections.defaultdict(list)
        for line in self.lines(
            console,
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped "
            "ORDER BY 1, a.attnum"
        ):
            table, column = line.split("|")
            columns[table].append(column)
        statements = []
        for table, names in columns.items():
            if table in self.PASSED_OVER:
                continue
            shown = ", ".join(f'"{name}"' for name in names if name not in self.PASSED_OVER_COLUMNS)
            content = "0" if table in self.COUNTED else f"coalesce(sum(hashtextextended(ROW({shown})::text, 0)), 0)"
            statements.append(f"SELECT '{table}', count(*), {content} FROM \"{table}\"")
        return self.lines(console, " UNION ALL ".join(statements)) if statements else []

    def close(self):
        for console in self.consoles:
            console.stdin.close()
            console.wait(timeout=10)


# MARK: what is sent, what came of it


class Route(NamedTuple):
    method: str
    path: str
    statuses: dict  # of each kind of caller of the matrix

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def parts(self):
        return [part for part in self.path.split("/") if part.startswith(":")]

    @property
    def takes_body(self):
        ignores = self.path.endswith(("/restore", "/retry")) or self.path.startswith("/_control")
        return self.method in ("POST", "PUT", "PATCH") and not ignores

    @property
    def is_of_records(self):
        return self.path.startswith("/api/:app/:entity")


def routes():
    """What stands in the matrix, which the server's tests hold against its table of routes."""
    lines = (ROOT / "Tests/RocketServerTests/access-matrix.txt").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    callers = words[0][2:]
    found = [Route(line[0], line[1], dict(zip(callers, map(int, line[2:])))) for line in words[1:]]
    if len(found) < 50:
        raise RoundFailure(f"the matrix of access has {len(found)} routes")
    return found


class Judge:
    """Sends requests, and remembers what was wrong with the answers."""

    def __init__(self, server, directory, rows, seed):
        self.server, self.directory, self.rows = server, directory, rows
        self.draw = random.Random(seed)
        self.wire = Wire(server.port)
        self.tokens, self.signed_in_at = {}, 0.0
        self.statuses, self.positions, self.driven = collections.Counter(), collections.Counter(), collections.Counter()
        self.problems = collections.OrderedDict()  # what kind of: the first one, and how many
        self.slowest, self.largest_error = (0.0, ""), (0, "")
        self.refused_and_compared = 0
        self.stamp = self.digest = self.last = None
        self.is_stale = True
        self.paths_of_ours = [str(directory).encode(), str(ROOT).encode()]

    def wrong(self, kind, text):
        first, count = self.problems.get(kind, (text, 0))
        self.problems[kind] = (first, count + 1)
        if count == 0:
            print(f"  WRONG: {kind}\n    {text}", flush=True)

    def token(self, role):
        # They end after a quarter of an hour.
        if time.monotonic() - self.signed_in_at > 600:
            self.sign_in()
        return self.tokens.get(role)

    def sign_in(self):
        client, self.signed_in_at = Client(self.server.port), time.monotonic()
        for role, app, email, password in (
            (PLATFORM, "_platform", "platform@localhost", "changeme"), (ADMIN, APP, "admin@localhost", "changeme"),
            (USER, APP, "agent@x.example", "password1"),
        ):
            with contextlib.suppress(RoundFailure):
                answer = client.call("POST", f"/api/{app}/auth/login", {"email": email, "password": password})
                self.tokens[role] = answer["data"]["access_token"]
        self.note_rows()

    def note_rows(self):
        """They have been changed by right: they are read anew before the next request that may be refused."""
        self.is_stale = True

    def read_rows(self):
        if self.rows and self.is_stale:
            # The stamp first: what is written in between is found as a change, and looked at.
            self.stamp, self.digest, self.is_stale = self.rows.stamp(), self.rows.digest(), False

    def fill(self, role, headers, body, given):
        """The headers that a right request has, without those that are given."""
        names = {name.lower() for name, _ in given}
        filled = headers if b"host" in names else [(b"Host", b"localhost")] + headers
        if role != ANONYMOUS and b"authorization" not in names:
            filled.append((b"Authorization", b"Bearer " + self.token(role).encode()))
        if body is not None and b"content-type" not in names:
            filled.append((b"Content-Type", b"application/json"))
        if body is not None:
            filled.append((b"Content-Length", str(len(body)).encode()))
        return filled + given

    def ask(self, route, position, name, target, body=None, role=ADMIN, headers=(), must=None, is_compared=True):
        """Sends a request to a route and judges the answer.

        `must`: "be refused" or None. Returns the answer.
        """
        target = target if isinstance(target, bytes) else target.encode()
        sent = head(route.method, target, self.fill(role, [], body, list(headers))) + (body or b"")
        label = f"{route} as {role}, {position}: {name[:100]}"
        if is_compared:
            self.read_rows()
        answer = self.last = self.wire.ask(sent, route.method == "HEAD")
        if answer.status == 0 or answer.status >= 500 or answer.seconds > SLOWEST:
            label += f" [{target[:200]!r} {headers!r:.300} {(body or b'')[:300]!r}]"
        self.driven[str(route)] += 1
        self.positions[position.split(" ")[0]] += 1
        self.judge(answer, label, f"{position.split(' ')[0]} at {route}", sent)
        if any(name == b"Connection" and b"close" in value for name, value in headers):
            self.wire.close()
        if must == "be refused" and 0 < answer.status < 400:
            self.wrong(
                f"accepted what must be refused: {position.split(' ')[0]} at {route}",
                f"{answer.status} {label} {(body or b'')[:200]!r}"
            )
        if self.rows and is_compared:
            self.compare(answer, label)
        return answer

    def judge(self, answer, label, where, sent=b""):
        self.statuses[answer.status] += 1
        if answer.seconds > self.slowest[0]:
            self.slowest = (answer.seconds, label)
        if answer.status == 0:
            return self.wrong(f"no answer: {where}", f"{label} after {answer.seconds:.2f} s")
        if answer.status >= 500:
            self.wrong(f"{answer.status}: {where}", f"{label}: {answer.body[:300]!r}")
        if answer.seconds > SLOWEST:
            self.wrong(f"slow: {where}", f"{answer.seconds:.2f} s for {answer.status} {label}")
        # What is no request line gets a bare 400 from below the server, which promises nothing more.
        line = sent.split(b"\r\n", 1)[0]
        is_bare = answer.status == 400 and answer.headers == {"connection": "close", "content-length": "0"}
        if is_bare and not re.fullmatch(rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [!-~]+ HTTP/1\.1", line):
            return
        if "x-request-id" not in answer.headers or answer.headers.get("x-content-type-options") != "nosniff":
            self.wrong(f"headers are missing: {where}", f"{answer.status} {label}: {answer.headers}")
        if answer.status >= 400 and not line.startswith(b"HEAD "):
            self.judge_envelope(answer, label, where)
            if len(answer.body) > self.largest_error[0]:
                self.largest_error = (len(answer.body), label)
        self.judge_leaks(answer, label, where, sent)

    def judge_envelope(self, answer, label, where):
        try:
            error = answer.json()["error"]
            right = CODES[error["code"]]
            if answer.status not in (right if isinstance(right, tuple) else (right,)):
                raise ValueError(f"{error['code']} with {answer.status}")
            if not isinstance(error["message"], str) or not error["message"] or set(error) - {
                "code", "message", "details"
            }:
                raise ValueError("the message")
            for detail in error.get("details", []):
                if not isinstance(detail["message"], str) or not isinstance(detail.get("field", ""), str):
                    raise ValueError("a detail")
            if answer.headers.get("content-type") != "application/json; charset=utf-8":
                raise ValueError("the content type")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.wrong(
                f"no envelope: {where}", f"{answer.status} {label}: {error!r} {answer.headers} {answer.body[:300]!r}"
            )

    def judge_leaks(self, answer, label, where, sent):
        if answer.status < 400:
            return
        said = [path for path in self.paths_of_ours if path in answer.body]
        # What the client sent may come back; what is found is looked for in that as well.
        decoded = (sent + urllib.parse.unquote_to_bytes(sent)).lower()
        said += [match[0] for match in LEAKS.finditer(answer.body) if match[0].lower() not in decoded]
        if said:
            self.wrong(
                f"tells too much: {where}", f"{said[0][:100]!r} in {answer.status} {label}: {answer.body[:400]!r}"
            )

    def compare(self, answer, label):
        """Nothing that is refused changes a row; after what is accepted the rows are read anew."""
        stamp = self.rows.stamp()
        if answer.status >= 400:
            self.refused_and_compared += 1
        if stamp == self.stamp:
            return
        if answer.status < 400:
            return self.note_rows()
        digest = self.rows.digest()
        if digest != self.digest:
            changed = sorted(
                name for name in digest.keys() | self.digest.keys() if digest.get(name) != self.digest.get(name)
            )
            differences = [(self.digest.get(name), digest.get(name)) for name in changed]
            self.wrong(f"refused and changed: {' '.join(changed)}", f"{answer.status} {label}: {differences}")
        self.digest, self.stamp = digest, stamp

    def tidy(self, method, path, body=None, role=ADMIN):
        """A request of ours that is right, and judged by nothing but its answer being none of a fault."""
        text = None if body is None else json.dumps(body).encode()
        sent = head(method, path.encode(), self.fill(role, [], text, [])) + (text or b"")
        answer = self.wire.ask(sent)
        self.judge(answer, f"{method} {path}", "a right request")
        if self.rows:
            self.note_rows()
        return answer

    def must(self, method, path, body=None, role=ADMIN):
        answer = self.tidy(method, path, body, role)
        if not 200 <= answer.status < 300:
            raise RoundFailure(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body)["data"] if answer.body else None


# MARK: the app


def field(name, type, **more):
    return {"name": name, "type": type} | more


def entity(name, fields, **more):
    return {
        "name": name, "table": f"{name}_rows", "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "soft_delete": False,
        "fields": [field("id", "uuid"), *fields],
    } | more


SIMPLE = [
    field("text", "string"), field("prose", "text"), field("whole", "int"), field("large", "bigint"),
    field("real", "float"), field("exact", "decimal"),
    field("money", "decimal", precision=2), field("flag", "boolean"), field("other", "uuid"),
    field("moment", "timestamp"), field("day", "date"),
    field("any", "json"), field("doc", "file"),
]
TYPES = {definition["name"]: definition for definition in SIMPLE} | {
    "level": field("level", "string", enum=["low", "high"]), "grade": field("grade", "int", enum=[1, 2, 3]),
    "title": field("title", "string", required=True), "code": field("code", "string", unique=True),
    "slug": field("slug", "string", unique=True),
}
EVERY = entity(
    "every",
    SIMPLE + [
        TYPES["level"], TYPES["grade"], TYPES["title"], TYPES["code"], TYPES["slug"],
        field("made_at", "timestamp", auto="create"), field("kept", "string", default="kept"),
    ],
    soft_delete=True, slug={"field": "slug", "source": "title"},
    indexes=[{"fields": ["level", "-whole"]}, {"fields": ["exact"]}],
)
DEFINITIONS = {
    "version": 1,
    "entities": [
        EVERY,
        entity("part", SIMPLE + [field("every_id", "uuid"), field("state", "string")]),
        entity("single", [field("text", "string"), field("every_id", "uuid")]),
        entity("tag", [field("label", "string")]),
        entity("victim", SIMPLE + [field("state", "string"), field("phase", "string")]),
        entity(
            "numbered", [field("text", "string")], primary_key={"field": "id", "type": "int", "generated": True}
        ) | {"fields": [field("id", "int"), field("text", "string")]},
        entity(
            "named", [], primary_key={"field": "id", "type": "string", "generated": False}
        ) | {"fields": [field("id", "string"), field("text", "string")]},
        entity(
            "counted", [], primary_key={"field": "id", "type": "bigint", "generated": False}
        ) | {"fields": [field("id", "bigint"), field("text", "string")]},
    ],
    "relations": [
        {
            "name": "parts", "type": "one_to_many", "source": "every", "target": "part", "source_key": "id",
            "target_key": "every_id", "on_delete": "cascade", "inverse": "whole_of"
        },
        {
            "name": "single", "type": "one_to_one", "source": "every", "target": "single", "source_key": "id",
            "target_key": "every_id", "on_delete": "cascade", "inverse": "owner"
        },
        {
            "name": "tags", "type": "many_to_many", "source": "every", "target": "tag", "join_table": "every_tags",
            "source_join_key": "every_id", "target_join_key": "tag_id", "on_delete": "cascade", "inverse": "everys"
        },
    ],
    "rules": [
        {
            "entity": "part", "type": "field",
            "definition": {"field": "text", "operator": "pattern", "value": "^(a+)+$|."}
        },
        {"entity": "part", "type": "field", "definition": {"field": "prose", "operator": "max_length", "value": 5000}},
        {
            "entity": "part", "type": "expression",
            "definition": {
                "expression": "record.text != null "
                "&& record.text.toUpperCase().replace(/(a|a)*$/g, 'x').split('').length > 1e6",
                "message": "long"
            }
        },
        {
            "entity": "part", "type": "computed",
            "definition": {"field": "real", "expression": "record.exact == null ? null : Number(record.exact) * 2"}
        },
    ],
    "state_machines": [
        {
            "entity": "part", "field": "state",
            "definition": {
                "initial": "new",
                "transitions": [
                    {"from": "new", "to": "done", "guard": "record.flag != false"},
                    {"from": "*", "to": "gone", "roles": ["boss"]}
                ]
            }
        },
    ],
    "workflows": [
        {
            "name": "asking", "trigger": {"type": "event", "event": "ask", "roles": ["*"]},
            "context": {"note": "trigger.payload.note"},
            "steps": [
                {
                    "id": "wait_for_boss", "type": "approval", "assignee": {"type": "role", "role": "admin"},
                    "form": [field("amount", "decimal"), field("why", "text")], "on_approve": "end", "on_reject": "end",
                },
            ],
        },
    ],
    "permissions": [
        {
            "entity": "every", "action": "read", "roles": ["*"],
            "conditions": [{"field": "level", "operator": "neq", "value": "secret"}]
        },
        {"entity": "every", "action": "create", "roles": ["agent"], "except": ["money"]},
        {"entity": "part", "action": "read", "roles": ["*"]},
        {"entity": "tag", "action": "read", "roles": ["anonymous"]},
        {"entity": "tag", "action": "create", "roles": ["anonymous"]},
    ],
}
EXPRESSION = "record.text == 'x' && len(record.prose) > 3"


class Stage:
    """The help desk and an entity with a field of every type, and what requests to each route need to be right."""

    def __init__(self, judge, receiver):
        self.judge, self.count, self.things, self.made = judge, 0, {}, 0
        judge.sign_in()
        judge.must("POST", "/api/_platform/apps", {"name": APP}, PLATFORM)
        judge.must("POST", "/api/_platform/apps", {"name": "elsewhere"}, PLATFORM)
        helpdesk = json.loads((ROOT / "Sources/rocket/Resources/helpdesk.json").read_text(encoding="utf-8"))
        for webhook in helpdesk["webhooks"]:
            webhook["url"] = receiver.url("/hook")
        judge.sign_in()
        judge.must("POST", f"/api/{APP}/_admin/import", helpdesk)
        judge.must("POST", f"/api/{APP}/_admin/import", DEFINITIONS)
        judge.must(
            "POST", f"/api/{APP}/_admin/users",
            {"email": "agent@x.example", "password": "password1", "roles": ["agent"]}
        )
        judge.sign_in()
        self.file = self.upload()
        self.tag = judge.must("POST", f"/api/{APP}/tag", {"label": "kept"})["id"]
        self.definitions = judge.must("GET", f"/api/{APP}/_admin/export")
        judge.must(
            "POST", f"/api/{APP}/ticket",
            {"title": "A ticket", "description": "x", "customer_id": "10000000-0000-0000-0000-000000000001"}
        )

    def open_rows(self, rows):
        self.judge.rows = rows
        self.judge.note_rows()

    def number(self):
        self.count += 1
        return self.count

    def upload(self):
        form = multipart([(b'form-data; name="file"; filename="a.txt"', b"hello")])
        answer = self.send_form(b"multipart/form-data; boundary=xyz", form)
        if answer.status != 201:
            raise RoundFailure(f"upload: {answer.status} {answer.body[:300]!r}")
        return answer.json()["data"]["id"]

    def send_form(self, content_type, form, role=ADMIN):
        judge = self.judge
        headers = judge.fill(role, [], form, [(b"Content-Type", content_type)])
        answer = judge.wire.ask(head("POST", f"/api/{APP}/_files/upload".encode(), headers) + form)
        if judge.rows:
            judge.note_rows()
        return answer

    # MARK: paths

    def target(self, route, **given):
        """The path of a route with names of what is there; `given` stands for parts, as bytes that are encoded."""
        path = b""
        for place, part in enumerate(route.path.split("/")[1:], 1):
            if part.startswith(":"):
                value = given.get(part[1:])
                text = value if value is not None else quote(self.part(route, part, place))
            else:
                text = part.encode()
            path += b"/" + text
        return path

    def part(self, route, part, place):
        simple = {":app": APP, ":entity": "every", ":email": "admin@localhost", ":event": "ask"}
        if part in simple:
            return simple[part]
        return self.thing("/".join(route.path.split("/")[:place]), route)

    def thing(self, collection, route):
        """The id or name of one of a collection, which is made where there is none."""
        collection = collection.replace(":app", APP).replace(":entity", "every")
        if collection == "/api/_platform/apps":
            return "elsewhere" if route.method == "GET" else "ghost"
        if collection.endswith("/_files"):
            return self.file
        if collection.endswith("/webhook-logs"):
            return self.log()
        if collection.endswith("/_workflows"):
            return self.instance()
        if route.path.endswith("/restore"):
            # One of its own, which is deleted whenever somebody wants to bring it back.
            if "restore" not in self.things:
                self.things["restore"] = self.judge.must("POST", collection, self.record())["id"]
            self.judge.tidy("DELETE", f"{collection}/{self.things['restore']}")
            return self.things["restore"]
        if collection not in self.things:
            wanted = Route("POST", collection.replace(f"/{APP}", "/:app", 1).replace("/every", "/:entity"), {})
            role = PLATFORM if collection.startswith("/api/_platform") else ADMIN
            body = self.bodies(wanted)[0] | ({"field": "state"} if collection.endswith("/state-machines") else {})
            made = self.judge.must("POST", collection, body, role)
            self.things[collection] = made["name"] if collection.endswith(("/entities", "/relations")) else made["id"]
            self.made += 1  # its name is taken now
        return self.things[collection]

    def log(self):
        if "log" not in self.things:
            logs = self.judge.must("GET", f"/api/{APP}/_admin/webhook-logs?per_page=1")
            if not logs:
                raise RoundFailure("the ticket has called no webhook")
            self.things["log"] = logs[0]["id"]
        return self.things["log"]

    def instance(self):
        if "instance" not in self.things:
            self.judge.must("POST", f"/api/{APP}/_events/ask", {"note": "x"})
            until = time.monotonic() + 5
            while not (waiting := self.judge.must("GET", f"/api/{APP}/_workflows/pending")):
                if time.monotonic() > until:
                    raise RoundFailure("the workflow did not start in 5 s")
                time.sleep(0.02)
            self.things["instance"] = waiting[0]["id"]
        return self.things["instance"]

    # MARK: bodies

    def record(self):
        number = self.number()
        return {
            "text": "x", "prose": "long", "whole": 1, "large": 2, "real": 1.5, "exact": 2.5, "money": 3.25,
            "flag": True, "other": NOBODY,
            "moment": "2026-01-02T03:04:05Z", "day": "2026-01-02", "any": {"a": [1]}, "doc": self.file, "level": "low",
            "grade": 1, "title": f"Title {number}",
            "code": f"c{number}", "slug": f"s{number}",
        }

    def part_row(self):
        return {
            name: value for name,
            value in self.record().items() if name not in ("level", "grade", "title", "code", "slug")
        }

    def nested(self):
        return {
            "title": "Nested", "code": f"n{self.number()}",
            "parts": {"_write_mode": "diff", "data": [self.part_row(), {"text": "y"}]}, "single": {"text": "z"},
            "tags": [{"id": self.tag}, {"label": "new"}],
        }

    def name(self):
        return f"made{self.made}"

    def bodies(self, route):
        """Bodies that are right for a route, one of each kind; an unknown route gets one that is a guess."""
        path = route.path
        last = path.split("/")[-1]
        kind = path.split("/")[4] if path.startswith("/api/:app/_admin/") else None
        if last in ("explain", "test", "bulk"):
            kind = last
        makers = {
            "login": lambda: [
                {"email": ("platform" if "_platform" in path else "admin") + "@localhost", "password": "changeme"}
            ],
            "refresh": lambda: [{"refresh_token": "t" * 43}], "logout": lambda: [{"refresh_token": "t" * 43}],
            "password": lambda: [{"old": "wrong password", "new": "password3"}],
            "forgot": lambda: [{"email": "nobody@x.example"}],
            "reset": lambda: [{"token": "t" * 43, "password": "password3"}],
            "accept-invite": lambda: [{"token": "t" * 43, "password": "password3"}],
            # Taken: it is all read, and makes no app.
            "apps": lambda: [
                {"name": APP, "display_name": "Taken", "db_driver": "sqlite", "from": "elsewhere", "rows": False}
            ],
            "_batch": self.batches, ":event": lambda: [{"note": "x", "list": [1, {"a": None}]}],
            "approve": self.decisions, "reject": self.decisions,
            "delegate": lambda: [{"user": NOBODY, "step": "wait_for_boss"}], "upload": lambda: [{}],
        }
        by_kind = {
            "entities": self.entities, "relations": self.relations, "rules": self.rules,
            "state-machines": self.machines, "permissions": self.permissions,
            "webhooks": self.webhooks, "workflows": self.workflows, "users": self.users,
            "invites": lambda: [{"email": f"i{self.number()}@x.example", "roles": ["agent"], "attributes": {"a": 1}}],
            "bulk": lambda: [
                {"invites": [{"email": f"b{self.number()}@x.example", "roles": ["agent"], "attributes": {}}]}
            ],
            "import": self.imports,
            "explain": lambda: [
                {"user": {"id": NOBODY, "roles": ["agent"]}, "entity": "tag", "action": "read", "id": self.tag}
            ],
            "test": self.trials,
        }
        if kind in by_kind:
            return [body | self.kept(route) for body in by_kind[kind]()]
        if path.startswith("/api/_platform/users"):
            return self.users()
        if last in makers:
            return makers[last]()
        if route.is_of_records:
            return [self.record(), self.nested()]
        return [{"name": "x", "id": NOBODY, "email": "a@x.example", "data": []}]

    def kept(self, route):
        """What a replacement must say as it is."""
        if route.method != "PUT":
            return {}
        if route.path.endswith("/state-machines/:id"):
            return {"field": "state"}
        name = self.things.get(f"/api/{APP}/_admin/" + route.path.split("/")[4])
        return {
            "/entities/:name": {"name": name, "table": name}, "/relations/:name": {"name": name}
        }.get("/" + "/".join(route.path.split("/")[4:]), {})

    def batches(self):
        operations = [
            {"method": "POST", "path": "/part", "body": self.part_row()},
            {"method": "PATCH", "path": "/part/$0.id", "body": {"text": "$0.text", "whole": 2}, "if_match": None},
            {"method": "DELETE", "path": "/part/$0.id"},
        ]
        del operations[1]["if_match"]
        return [{"operations": operations}]

    def decisions(self):
        return [{"comment": "fine", "step": "wait_for_boss", "form": {"amount": 1.5, "why": "so"}}]

    def users(self):
        return [
            {
                "email": f"u{self.number()}@x.example", "password": "password1", "roles": ["agent"], "active": True,
                "attributes": {"a": [1]}
            }
        ]

    def entities(self):
        fields = [
            field("id", "uuid", required=True),
            field("text", "string", required=False, unique=True, nullable=True, default="x", enum=["x", "y"]),
            field("exact", "decimal", precision=2, default=1.5),
            field("whole", "int", default=1, enum=[1, 2]), field("at", "timestamp", auto="create"),
            field("day", "date", default="2026-01-01"), field("any", "json", default={"a": 1}),
            field("slug", "string", unique=True),
        ]
        return [{
            "name": self.name(), "table": self.name(),
            "primary_key": {"field": "id", "type": "uuid", "generated": True}, "soft_delete": True, "history": True,
            "slug": {"field": "slug", "source": "text", "regenerate_on_update": False},
            "indexes": [{"fields": ["whole", "-at"], "unique": False}], "fields": fields,
        }]

    def relations(self):
        base = {
            "name": f"r_{self.name()}", "source": "tag", "target": "victim", "inverse": f"i_{self.name()}",
            "ownership": "source", "on_delete": "set_null", "fetch": "lazy", "write_mode": "diff"
        }
        return [
            base | {"type": "one_to_many", "source_key": "id", "target_key": "other"},
            base | {
                "type": "many_to_many", "join_table": f"j_{self.name()}", "source_join_key": "tag_id",
                "target_join_key": "victim_id", "on_delete": "cascade"
            },
        ]

    def rules(self):
        rule = {"entity": "victim", "hook": "before_write", "priority": 1, "active": True}
        return [
            rule | {
                "type": "field",
                "definition": {
                    "field": "text", "operator": "pattern", "value": "^(a+)+$", "message": "no", "stop_on_fail": True
                }
            },
            rule | {"type": "field", "definition": {"field": "whole", "operator": "max", "value": 100}},
            rule | {
                "type": "expression",
                "definition": {
                    "expression": f"{EXPRESSION} && false", "message": "no", "field": "text", "stop_on_fail": False,
                    "related_load": []
                }
            },
            rule | {"type": "computed", "definition": {"field": "any", "expression": "[record.text, record.exact]"}},
        ]

    def trials(self):
        record = {
            "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "whole": 5, "exact": 1.5, "moment": "2026-01-02T03:04:05Z",
            "any": {"a": 1}
        }
        trial = {
            "entity": "victim", "record": record, "old": {"text": "old"},
            "user": {"id": NOBODY, "email": "a@x.example", "roles": ["agent"]}, "hook": "before_write"
        }
        return [
            trial | {"type": "expression", "definition": {"expression": EXPRESSION}},
            trial | {"type": "field", "definition": {"field": "text", "operator": "pattern", "value": "^(a+)+$"}},
            trial | {"type": "computed", "definition": {"field": "text", "expression": "record.text + 1"}},
        ]

    def machines(self):
        actions = [
            {"type": "set_field", "field": "moment", "value": "now"},
            {"type": "set_field", "field": "text", "expression": "record.text"},
            {"type": "create_record", "entity": "tag", "values": {"label": {"expression": "record.text"}}},
            {"type": "send_event", "event": "moved", "payload": {"a": {"expression": "record.whole"}, "b": 1}},
        ]
        transitions = [
            {"from": ["new", "old"], "to": "done", "roles": ["agent"], "guard": EXPRESSION, "actions": actions},
            {"from": "*", "to": "gone"}
        ]
        return [
            {
                "entity": "victim", "field": "phase", "definition": {"initial": "new", "transitions": transitions},
                "active": True
            }
        ]

    def permissions(self):
        return [
            {"entity": "victim", "action": "update", "roles": ["agent", "*"],
             "conditions": [
                 {"field": "text", "operator": "eq", "value": "$user.email"},
                 {"field": "whole", "operator": "in", "value": [1, 2]},
             ],
             "check": [{"field": "moment", "operator": "lt", "value": "$now"}], "fields": ["text", "whole"]},
            {
                "entity": "victim", "action": "read", "roles": ["agent"],
                "conditions": [{"field": "text", "operator": "like", "value": "a%"}], "except": ["money"]
            },
        ]

    def webhooks(self):
        return [{
            "entity": "tag", "hook": "after_delete", "url": "http://127.0.0.1:9/never", "method": "POST",
            "headers": {"X-A": "{{env.HOME}}"}, "condition": "record.label == 'never'", "async": True,
            "retry": {"max_attempts": 1, "backoff": "linear"}, "secret": "generate", "active": True,
        }]

    def workflows(self):
        actions = [
            {"type": "set_field", "entity": "victim", "record_id": "context.id", "field": "text", "value": "x"},
            {
                "type": "update_record", "entity": "victim", "record_id": "context.id",
                "values": {"whole": {"expression": "1 + 1"}}
            },
            {"type": "create_record", "entity": "tag", "values": {"label": "context.id"}, "result": "made"},
            {"type": "send_event", "event": "sent", "payload": {"a": 1}},
            {
                "type": "webhook", "url": "http://127.0.0.1:9/", "method": "POST", "headers": {"X": "y"},
                "retry": {"max_attempts": 1, "backoff": "linear"}, "result": "answer"
            },
        ]
        steps = [
            {
                "id": "first", "type": "condition", "expression": "context.id != null", "on_true": "ask",
                "on_false": {"goto": "end"}
            },
            {
                "id": "ask", "type": "approval", "required": "any", "timeout": "2d",
                "assignee": [
                    {"type": "role", "role": "boss"}, {"type": "user", "user": NOBODY},
                    {"type": "relation", "path": "context.boss"},
                ],
                "form": [field("amount", "decimal", precision=2)],
                "on_approve": "act", "on_reject": "end", "on_timeout": "end",
            },
            {"id": "act", "type": "action", "actions": actions, "then": "rest"},
            {"id": "rest", "type": "wait", "duration": "10s", "then": "many"},
            {"id": "many", "type": "parallel", "branches": [["left"], ["right"]], "join": "all", "then": "sub"},
            {"id": "left", "type": "wait", "until": "context.when"}, {"id": "right", "type": "wait", "duration": "1s"},
            {"id": "sub", "type": "call", "workflow": "asking", "context": {"note": "context.id"}, "result": "answer2"},
        ]
        base = {
            "name": f"w_{self.name()}",
            "context": {"id": "trigger.payload.id", "boss": "user.id", "when": "trigger.payload.when"}, "steps": steps,
            "active": True
        }
        small = {"steps": steps[3:4] + steps[4:7]}
        small["steps"] = [steps[3] | {"then": "end"}]
        return [
            base | {
                "trigger": {"type": "event", "event": "never", "roles": ["agent"], "condition": "payload.id != null"}
            },
            base | small | {
                "context": {"id": "record.id"},
                "trigger": {
                    "type": "state_change", "entity": "victim", "field": "state", "to": "never", "condition": EXPRESSION
                }
            },
            base | small | {
                "context": {},
                "trigger": {
                    "type": "record", "entity": "victim", "action": "delete", "condition": "record.text == 'never'"
                }
            },
            base | small | {
                "context": {"at": "scheduled_at"}, "trigger": {"type": "schedule", "cron": "0 8 1 1 *"}, "active": False
            },
        ]

    def imports(self):
        return [{
            "version": 1, "exported_at": "2026-01-01T00:00:00Z",
            "entities": [entity(self.name(), [field("text", "string")])], "relations": [], "rules": self.rules()[:1],
            "state_machines": [], "workflows": [],
            "permissions": self.permissions()[:1], "webhooks": [],
            "sample_data": {
                "tag": [{"id": NOBODY, "label": "imported"}], "every_tags": [],
                "_users": [{"email": "imported@x.example", "password": "password1", "roles": ["agent"], "active": True}]
            },
        }]

    # MARK: afterwards

    def clean_up(self, route, answer, target):
        """Takes back what an accepted request has made or changed, so that the next one meets the same."""
        if not 200 <= answer.status < 300:
            return
        judge, role = self.judge, PLATFORM if "/_platform/" in route.path else ADMIN
        path = target.decode("latin-1").split("?")[0]
        if "location" in answer.headers:
            query = "?cascade=true" if "/_admin/" in path and not path.endswith(
                ("/users", "/invites")
            ) else "?purge=true" if route.is_of_records else ""
            judge.tidy("DELETE", answer.headers["location"] + query, role=role)
            self.made += route.path.endswith(("/entities", "/relations"))
        elif path.endswith(("/invites", "/invites/bulk")) and route.method == "POST":
            made = answer.json()["data"]
            for invite in made if isinstance(made, list) else [made]:
                judge.tidy("DELETE", f"/api/{APP}/_admin/invites/{invite['id']}")
        elif path.endswith("/import"):
            judge.must("POST", f"/api/{APP}/_admin/import?mode=apply", self.definitions)
            self.made += 1
            # The import may be of what stood here.
            self.things = {name: thing for name, thing in self.things.items() if "/_admin/" not in name}
        elif route.method in ("PUT", "DELETE"):
            self.forget(route, path)
        elif "/_workflows/" in path:
            self.things.pop("instance", None)
        elif route.path.endswith("/retry"):
            self.things.pop("log", None)
        elif route.path.endswith("/_batch"):
            self.sweep(("part",))

    def forget(self, route, path):
        collection = path.rsplit("/", 1)[0]
        name = self.things.pop(collection, None)
        if "/_workflows/" in path:
            self.things.pop("instance", None)
        if "/_files/" in path:
            self.file = self.upload()
        if name and route.method == "PUT":
            role = PLATFORM if "/_platform/" in path else ADMIN
            query = "?purge=true" if "/every/" in path else ""
            if "/_admin/" in path and "users" not in path:
                query = "?cascade=true"
            renamed = path.rsplit("/", 1)[1]
            self.judge.tidy("DELETE", f"{collection}/{renamed}{query}", role=role)
            self.made += collection.endswith(("/entities", "/relations"))

    def sweep(self, entities=("every", "part", "single", "tag", "victim")):
        """Takes out the rows that accepted requests have left."""
        kept = {self.tag, *self.things.values()}
        for name in entities:
            while True:
                rows = self.judge.must(
                    "GET",
                    f"/api/{APP}/{name}?per_page=100&fields=id&count=none{'&deleted=with' if name == 'every' else ''}"
                )
                ids = [row["id"] for row in rows if row["id"] not in kept]
                for id in ids:
                    self.judge.tidy("DELETE", f"/api/{APP}/{name}/{id}{'?purge=true' if name == 'every' else ''}")
                if len(ids) < 50:
                    break


def quote(text):
    return urllib.parse.quote(text, safe="").encode()


def multipart(parts, boundary=b"xyz"):
    form = b""
    for disposition, content in parts:
        form += b"--" + boundary + b"\r\nContent-Disposition: " + disposition
        form += b"\r\nContent-Type: text/html\r\n\r\n" + content + b"\r\n"
    return form + b"--" + boundary + b"--\r\n"


# MARK: what is tried


def pick(items, count, key):
    """So many of them, evenly, beginning elsewhere for each key: together the keys see all."""
    if count >= len(items):
        return list(items)
    offset = zlib.crc32(key.encode())
    return [items[(offset + number * len(items) // count) % len(items)] for number in range(count)]


SLOT = "@@slot@@"


def leaves(template, path=()):
    """The place of every value in a body, of those that hold others too, and of a member that nobody knows."""
    if path:
        yield path
    if isinstance(template, dict):
        for name, value in template.items():
            yield from leaves(value, (*path, name))
        yield (*path, "nobody_knows")
    elif isinstance(template, list):
        for place, value in enumerate(template):
            yield from leaves(value, (*path, place))


def with_value(template, path, raw):
    """The body as bytes, with a raw value at a place."""
    def put(value, rest):
        if not rest:
            return SLOT
        if isinstance(value, dict):
            return value | {rest[0]: put(value.get(rest[0]), rest[1:])}
        return [put(item, rest[1:]) if place == rest[0] else item for place, item in enumerate(value)]
    return json.dumps(put(template, path)).encode().replace(f'"{SLOT}"'.encode(), raw, 1)


def dotted(path):
    return ".".join(map(str, path))


def caller_of(route):
    return PLATFORM if "/_platform/" in route.path or route.path == "/metrics" else ADMIN


def judge_caller(judge, route, role, answer, position):
    """Whom the matrix keeps out stays out, whatever comes along."""
    column = {USER: "plain", ANONYMOUS: "none"}.get(role)
    # Records have policies here, and the event is open to whoever has signed in.
    if column and not (
        route.is_of_records or "/_batch" in route.path or "/_events/" in route.path
    ) and route.statuses[column] in (401, 403) and answer.status < 400:
        judge.wrong(f"came in: {role} at {route}", f"{answer.status}, {position}")


def try_bodies(judge, stage, tried, share):
    """Every document as the whole body of every route."""
    documents = corpus.documents(is_quick=share < 1)
    verdicts = {document.name: corpus.verdict(document.text) for document in documents}
    for route in tried:
        count = max(4, int(len(documents) * share)) if route.takes_body else max(2, int(25 * share))
        roles = [(caller_of(route), count), (USER, max(1, count // 8)), (ANONYMOUS, max(1, count // 8))]
        for role, count in roles:
            for document in pick(documents, count, f"{route} {role}"):
                target = stage.target(route)
                is_object = verdicts[document.name] == corpus.JSON and document.text.strip().startswith(b"{")
                may_be_empty = route.path.endswith(("/approve", "/reject", "/:event"))
                is_wrong = route.takes_body and not is_object and not (may_be_empty and not document.text)
                answer = judge.ask(
                    route, "body", document.name, target, document.text, role, must="be refused" if is_wrong else None
                )
                judge_caller(judge, route, role, answer, f"body {document.name}")
                is_read = role == caller_of(route) and not route.path.endswith("/upload")
                if is_wrong and is_read and answer.status not in (0, 400, 413):
                    judge.wrong(
                        f"{answer.status} for a body that is no JSON object: {route}",
                        f"{document.name}: {answer.body[:200]!r}"
                    )
                stage.clean_up(route, answer, target)
        stage.sweep() if route.takes_body and route.is_of_records else None


def try_values(judge, stage, tried, share):
    """Every value at every place of a body that is right otherwise; documents there, too."""
    values, documents = corpus.values(is_quick=share < 1), [
        d for d in corpus.documents(is_quick=True) if not d.is_large
    ]
    for route in tried:
        if not route.takes_body or route.path.endswith("/upload"):
            continue
        role, accepted = caller_of(route), 0
        is_create = route.is_of_records and route.method == "POST"
        for kind in range(len(stage.bodies(route))):
            # As it is, so that what follows is refused for its value and for nothing else.
            accepted += try_value(judge, stage, route, role, kind, (), None)
            as_it_is = judge.last
            places = list(leaves(stage.bodies(route)[kind]))
            for path in places:
                few = max(
                    1, int((140 if is_create else 40 if route.is_of_records or "/test" in route.path else 14) * share)
                )
                for raw in pick(values, few, f"{route} {path} {kind}"):
                    try_value(judge, stage, route, role, kind, path, raw)
                is_third = share == 1 or zlib.crc32(f"{route} {path}".encode()) % 3 == 0
                for document in pick(documents, max(1, few // 6), f"{route} {path} {kind} d") if is_third else ():
                    try_value(judge, stage, route, role, kind, path, document.text)
                for other in (USER, ANONYMOUS) if share == 1 or zlib.crc32(f"{route} {path}".encode()) % 8 == 0 else ():
                    try_value(judge, stage, route, other, kind, path, pick(values, 1, f"{route} {path} {other}")[0])
        if not accepted and not is_refused_as_it_is(route):
            judge.wrong(
                f"nothing was accepted: {route}",
                f"a right body is refused, so that this has tested nothing: {as_it_is.status} {as_it_is.body[:300]!r}"
            )
        stage.sweep() if route.is_of_records or "/_batch" in route.path else None


def is_refused_as_it_is(route):
    """Where a right body is refused on purpose: it names a token, a password or a name that are not to be had."""
    return route.path.endswith(
        ("/refresh", "/password", "/reset", "/accept-invite", "/delegate")
    ) or str(route) == "POST /api/_platform/apps"


def try_value(judge, stage, route, role, kind, path, raw):
    """Returns whether it was accepted."""
    target = stage.target(route)
    template = stage.bodies(route)[kind]
    body = json.dumps(template).encode() if raw is None else with_value(template, path, raw)
    must = None if raw is None or corpus.verdict(body) == corpus.JSON else "be refused"
    if path[-1:] == ("nobody_knows",) and not may_have_any_member(route, path):
        must = "be refused"
    if route.path.endswith("/import") and raw is not None and zlib.crc32(body) % 2:
        # As it is, the file would not do for that: what it lacks is to be removed.
        target += b"?mode=apply&dry_run=true"
    answer = judge.ask(route, f"value of {dotted(path)}", repr(raw)[:100], target, body, role, must=must)
    judge_caller(judge, route, role, answer, f"value of {dotted(path)} {raw!r:.100}")
    if answer.status == 201 and len(path) == 1 and route.is_of_records and must is None and path[0] in TYPES:
        judge_stored(judge, path[0], raw, answer)
    if 200 <= answer.status < 300 and role == ADMIN and "/_admin/" in route.path and "dry_run" not in target.decode():
        exercise(judge, route, path, raw)
    stage.clean_up(route, answer, target.split(b"?")[0]) if b"dry_run" not in target else None
    return 200 <= answer.status < 300


def may_have_any_member(route, path):
    """Objects that take whatever members they are given."""
    free = {
        "any", "payload", "attributes", "headers", "values", "default", "record", "old", "context", "form",
        "sample_data"
    }
    is_free = route.path.endswith((":event", "/import")) or "_users" in path
    return is_free or bool(free & set(path))


def exercise(judge, route, path, raw):
    """Runs what was accepted as metadata: it may not be a fault when it is used."""
    name = f"runs what was accepted at {route}"
    if route.path.split("/")[4] in ("rules", "state-machines"):
        body = {
            "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "prose": "long enough", "whole": 5, "exact": 1.5,
            "any": {"a": [1]}
        }
        made = judge.tidy("POST", f"/api/{APP}/victim", body)
        if made.status == 201:
            id = made.json()["data"]["id"]
            for change in ({"phase": "done"}, {"phase": "gone", "text": None}):
                judge.tidy("PUT", f"/api/{APP}/victim/{id}", change)
            judge.tidy("DELETE", f"/api/{APP}/victim/{id}")
    elif "permissions" in route.path:
        for method, body in (("GET", None), ("POST", {"text": "x", "whole": 1})):
            answer = judge.tidy(method, f"/api/{APP}/victim", body, USER)
            if answer.status == 201:
                judge.tidy("DELETE", f"/api/{APP}/victim/{answer.json()['data']['id']}")
    else:
        return
    judge.positions[name.split(" ")[0]] += 1


def judge_stored(judge, name, raw, answer):
    """What is stored is what was sent, and can be of its type."""
    sent = json.loads(raw, parse_float=decimal.Decimal) if raw is not None else None
    if raw is None or sent is None:
        return
    stored, type = answer.json()["data"].get(name), TYPES[name]["type"]
    try:
        is_right = STORED[type](sent, stored) and sent in TYPES[name].get("enum", [sent])
        is_right = is_right and (name != "money" or -decimal.Decimal(str(stored)).normalize().as_tuple().exponent <= 2)
    except (ValueError, TypeError, ArithmeticError, AttributeError, KeyError) as error:
        is_right = f"{error!r}" == ""
    if not is_right and not (name == "slug" and sent == ""):
        judge.wrong(f"stored as something else: {type} {name}", f"{raw[:150]!r} became {str(stored)[:150]!r}")


def same_moment(sent, stored):
    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", sent, re.ASCII
    )
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    zone = match[8]
    offset = datetime.timedelta() if zone in "Zz" else datetime.timedelta(
        hours=int(zone[1:3]), minutes=int(zone[4:6])
    ) * (1 if zone[0] == "+" else -1)
    # A leap second is the next one, where it is taken.
    moment = datetime.datetime(
        year, month, day, hour, minute, min(second, 59), int((match[7] or "")[:6].ljust(6, "0"))
    ) - offset
    if second == 60:
        return True
    return stored == moment.strftime("%Y-%m-%dT%H:%M:%S.").rjust(20, "0") + f"{moment.microsecond:06}Z"


def is_number(value):
    return isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool)


STORED = {
    "string": lambda sent, stored: isinstance(sent, str) and "\0" not in sent and stored == sent,
    "text": lambda sent, stored: isinstance(sent, str) and "\0" not in sent and stored == sent,
    "int": lambda sent,
    stored: is_number(sent) and stored == sent and -(2**31) <= stored < 2**31 and stored == int(stored),
    "bigint": lambda sent,
    stored: (
        is_number(sent) or re.fullmatch(r"-?\d+", sent, re.ASCII)
    ) and stored == decimal.Decimal(sent) and -(2**63) <= stored < 2**63,
    "float": lambda sent,
    stored: is_number(sent) and float(sent) == float(stored) and abs(float(stored)) < float("inf"),
    "decimal": lambda sent,
    stored: (is_number(sent) or sent.strip() == sent) and decimal.Decimal(stored) == decimal.Decimal(sent),
    "boolean": lambda sent, stored: isinstance(sent, bool) and stored is sent,
    "uuid": lambda sent,
    stored: re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", stored, re.ASCII) and stored == sent.lower(),
    "timestamp": same_moment,
    "date": lambda sent, stored: stored == sent and datetime.date.fromisoformat(sent).isoformat() == sent,
    "json": lambda sent, stored: stored == sent and isinstance(stored, bool) == isinstance(sent, bool),
    "file": lambda sent,
    stored: isinstance(stored, dict) and stored["id"] == (sent["id"] if isinstance(sent, dict) else sent),
}


# MARK: headers


def header_texts(is_quick):
    texts = [text.encode() for text in corpus.strings(is_quick) if not re.search(r"[\0-\x1f\x7f]", text)]
    return [
        text for text in dict.fromkeys(text.strip(b" \t") for text in texts) if len(text) < 8_000
    ] + [b"\xff\xfe", b"caf\xe9", b"\x80"]


TAGS = [
    b"*", b'""', b'"x"', b'W/"x"', b'"', b'"a", "b"', b'"a",', b",,,", b"x", b'"' + b"x" * 5_000 + b'"', b'W/"',
    b'"\xc3\xa9"', b", ".join([b'"x"'] * 500)
]
HEADERS = {
    b"Authorization": [
        b"Bearer", b"Bearer ", b"Bearer x", b"bearer x.y.z", b"Basic YWRtaW46YWRtaW4=",
        b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGVzIjpbImFkbWluIl19.", b"Bearer " + b"a." * 2_000,
        b"Bearer " + b"." * 100,
        b"Bearer null", b"Negotiate", b"Bearer \xff", b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA", b"Bearer x, Bearer y",
        b"Token x", b"Bearer\tx", b"Bearer  x",
    ],
    b"Content-Type": [
        b"", b"text/plain", b"application/xml", b"application/json; charset=utf-16",
        b"application/json; charset=latin-1", b"application/jsonx", b"application/json, text/plain",
        b"application/json;charset=utf-8;charset=utf-16", b"multipart/form-data", b"multipart/form-data; boundary=",
        b"application/x-www-form-urlencoded", b"application/", b"/", b";", b"application/json; boundary=\"",
        b"application/problem+json", b"APPLICATION/JSON", b"application/json; charset=\"UTF-8\"",
        b"application/json ;  charset=utf-8",
    ],
    b"Accept": [
        b"", b"*/*", b"text/html", b"application/json;q=0", b"application/json;q=-1", b"application/json;q=1e999",
        b",", b"a/b;" * 500
    ],
    b"If-Match": TAGS, b"If-None-Match": TAGS, b"If-Range": TAGS + [b"Mon, 99 Foo 2026 99:99:99 GMT"],
    b"If-Modified-Since": [b"x", b"Thu, 01 Jan 1970 00:00:00 GMT", b"9" * 400],
    b"If-Unmodified-Since": [b"x", b"Thu, 01 Jan 1970 00:00:00 GMT"],
    b"Range": [
        b"bytes=", b"bytes=-", b"bytes=0-", b"bytes=-0", b"bytes=-1", b"bytes=5-1", b"bytes=0-0,1-1",
        b"bytes=0-18446744073709551616", b"bytes=-9223372036854775808", b"bytes=9223372036854775807-",
        b"bytes=9223372036854775807-9223372036854775807", b"bytes=a-b", b"lines=0-1", b"bytes = 0-1",
        b"bytes=" + b"0-0," * 1_000, b"bytes=0-" + b"9" * 5_000, b"bytes=-99999999999999999999", b"bytes=+0-1",
        b"bytes=0x0-1", b"bytes=0--1",
    ],
    b"Idempotency-Key": [b"", b"a b", b"x" * 255, b"x" * 256, b"\xc3\xa9", b'"quoted"', b"a,b", b"' OR 1=1 --"],
    b"traceparent": [
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", b"00--", b"-", b"00-4bf9",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", b"0" * 5_000,
    ],
    b"tracestate": [b"", b"a=b", b"=", b",,,", b"a=" + b"x" * 5_000, b"a=b," * 500, b"\xff"],
    b"X-Forwarded-For": [
        b"", b"127.0.0.1", b"999.999.999.999", b"::1", b"[::1]:80", b"unknown", b"1.2.3.4, 5.6.7.8", b"," * 2_000,
        b"1.2.3.4," * 800, b"0x7f.1", b"::ffff:127.0.0.1", b"fe80::1%eth0"
    ],
    b"X-Request-Id": [b"", b"a b", b"x" * 129, b"\xc3\xa9", b"../..", b"a\tb", b"%0d%0aSet-Cookie: a=b"],
    b"Rocket-Depth": [
        b"", b"-1", b"0", b"1", b"15", b"16", b"17", b"99999999999999999999", b"1e3", b"0x10", b"1.5", b"+1",
        b"\xd9\xa1"
    ],
    b"Origin": [b"", b"null", b"https://evil.example", b"*", b"http://[::1", b"https://a.example, https://b.example"],
    b"Access-Control-Request-Method": [b"", b"PUT", b"*", b"x" * 1_000],
    b"Host": [
        b"", b"evil.example", b"localhost:99999", b"[::1", b"a b", b"localhost, evil.example", b"x" * 5_000, b"\xff"
    ],
    b"Expect": [b"", b"100-continue", b"100-Continue", b"200-ok", b"100-continue, 100-continue"],
    b"Content-Encoding": [b"", b"gzip", b"identity", b"br, gzip", b"x"],
    b"Accept-Encoding": [b"", b"*", b"gzip;q=0", b"identity;q=0", b"x" * 5_000],
    b"Accept-Language": [b"", b"xx", b"*;q=9"],
    b"Connection": [b"", b"keep-alive", b"upgrade", b"close, keep-alive", b"Authorization", b"x"],
    b"Upgrade": [b"h2c", b"websocket", b"x" * 1_000], b"TE": [b"trailers", b"chunked", b"x"],
    b"Content-Disposition": [b"", b"form-data; name=\"file\"", b"x" * 5_000],
    b"Cookie": [b"", b"a=b; " * 1_000, b"\xff"],
    b"Forwarded": [b"for=127.0.0.1", b"for=\"[::1", b";;;"], b"X-HTTP-Method-Override": [b"DELETE", b"x"],
    b"X-Original-URL": [b"/metrics", b"x"], b"User-Agent": [b"", b"() { :; }; id", b"x" * 8_000],
    b"Referer": [b"", b"x"], b"Content-Length-X": [b"1"], b"Date": [b"x"], b"Via": [b"x" * 100],
}


def try_headers(judge, stage, tried, share):
    """Every header that the server reads, at every route, as a right request otherwise."""
    texts = header_texts(share < 1)
    for route in tried:
        is_open = route.statuses["bad"] not in (401, 403, 404)
        for name, special in pick(list(HEADERS.items()), len(HEADERS) if share == 1 else 8, str(route)):
            some = pick(special, 1 if share < 1 else 2, f"{route} {name}")
            some += pick(
                texts, 1, f"{route} {name} t"
            ) if share == 1 or zlib.crc32(f"{route}{name}".encode()) % 6 == 0 else []
            for value in some:
                target, body = stage.target(route), right_body(stage, route)
                must = "be refused" if must_refuse_header(route, name, value, is_open) else None
                answer = judge.ask(
                    route, f"header {name.decode()}", repr(value)[:80], target, body, caller_of(route),
                    [(name, value)], must
                )
                stage.clean_up(route, answer, target)
    stage.sweep()


def right_body(stage, route):
    return json.dumps(stage.bodies(route)[0]).encode() if route.takes_body else None


def must_refuse_header(route, name, value, is_open):
    if name == b"Authorization":
        return not is_open
    if name == b"Content-Type" and route.takes_body:
        return not re.fullmatch(rb'application/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)*', value, re.IGNORECASE)
    if name == b"Idempotency-Key" and (
        str(route) == "POST /api/:app/:entity" or route.path.endswith(
            ("/:id/restore", "/_batch")
        ) and "_workflows" not in route.path
    ):
        return not re.fullmatch(rb"[\x21-\x7e]{1,255}", value)
    if name == b"If-Match" and value not in (b"", b"*") and route.method in ("PUT", "PATCH", "DELETE"):
        return route.path == "/api/:app/:entity/:id" or bool(
            re.search("/_admin/(entities|relations|rules|state-machines|permissions|webhooks|workflows)/:", route.path)
        )
    return False


# MARK: parameters


UNKNOWN = [
    b"colour=red", b"Page=1", b"per-page=1", b"filter=x", b"filter[=x", b"filter]=x", b"=x", b"a=1&a=2", b"%00=1",
    b"page%00=1", b"__proto__=1", b"%ff=1", b"%zz=1", b"%=1", b"a=%", b"a=%f", b"a=%c0%af", b"a=%ed%a0%80",
    b"\xff=\xfe", b"a[]=1",
    b"access_token=x", b"_method=DELETE", b"callback=x", b"x" * 8_000 + b"=1", b"x=" + b"y" * 30_000,
    b"&".join(b"a%d=1" % number for number in range(300)), b"sort[]=x", b"page[number]=1", b"limit=1", b"offset=1",
    b"q=x", b"%F0%9F%98%80=1", b"a=b;c=d", b"?page=1", b"page=1?x=1",
]
HARMLESS = [b"", b"&", b"&&&&", b"&" * 10_000]
WORDS = {
    "page": r"0*[1-9][0-9]*", "per_page": r"0*[1-9][0-9]*", "count": "none|exact", "deleted": "only|with",
    "transitions": "true|false", "workflows": "true|false", "purge": "true|false", "cascade": "true|false",
    "download": "true|false",
    "assignee": "me", "mode": "add|apply", "dry_run": "true|false",
}
OPERATORS = [
    "", ".eq", ".neq", ".gt", ".gte", ".lt", ".lte", ".in", ".not_in", ".like", ".ilike", ".contains", ".starts_with",
    ".is_null", ".near", ".", "..eq", ".eq.eq", ".EQ", ".\u0435q"
]
FREE = [
    "sort", "fields", "include", "where", "filter[parts.text]", "filter[tags.label.like]",
    "filter[single.text.is_null]", "include[parts][limit]", "include[parts][sort]", "include[parts][fields]",
    "include[parts][filter][whole.gt]", "include[parts]", "include[]", "include[tags][filter]"
]


def parameters_of(route):
    if str(route) == "GET /api/:app/:entity":
        return ["page", "per_page", "count", "deleted", *FREE]
    if str(route) == "GET /api/:app/:entity/:id":
        return ["fields", "include", "transitions", "workflows", *FREE[7:]]
    if route.method == "GET" and (
        route.path.endswith(("/users", "/invites", "/webhook-logs", "/_workflows", "/pending", "/_files", "/history"))
    ):
        more = {
            "users": ["filter[email]"], "webhook-logs": ["webhook_id", "status", "entity"],
            "_workflows": ["status", "workflow", "entity", "record_id"], "pending": ["assignee"]
        }
        return ["page", "per_page", *more.get(route.path.split("/")[-1], [])]
    if str(route) == "DELETE /api/:app/:entity/:id":
        return ["purge"]
    if route.method == "DELETE" and re.search(
        "/_admin/(entities|relations|rules|state-machines|permissions|webhooks|workflows)/:", route.path
    ):
        return ["cascade"]
    if route.path == "/api/:app/_files/:id" and route.method == "GET":
        return ["download"]
    return ["dry_run"] if route.path.endswith("/import") else []


def try_parameters(judge, stage, tried, share):
    """Parameters that a route does not know, at every route; and every value in those that it does."""
    texts = [text for text in corpus.strings(share < 1) if len(text) <= 5_000] + corpus.numbers()
    for route in tried:
        for query in pick(
            UNKNOWN, max(3, int(len(UNKNOWN) * share)), str(route)
        ) + pick(HARMLESS, max(1, int(4 * share)), str(route)):
            is_unknown = query not in HARMLESS and not route.path.startswith("/_control")
            try_query(judge, stage, route, "parameter unknown", query, "be refused" if is_unknown else None)
        for name in parameters_of(route):
            count = int(
                (len(texts) if name in ("where", "sort", "fields", "include", "filter[parts.text]") else 90) * share
            )
            for text in pick(texts, max(3, count), f"{route} {name}"):
                is_bad = name in WORDS and not re.fullmatch(WORDS[name], text, re.ASCII)
                try_query(
                    judge, stage, route, f"parameter {name}", quote(name) + b"=" + quote(text),
                    "be refused" if is_bad else None
                )
    listing = next(route for route in tried if str(route) == "GET /api/:app/:entity")
    try_filters(judge, stage, listing, share, texts)
    for query in (
        b"&".join([b"filter[text]=x"] * 51), b"&".join([b"filter[text]=x"] * 50), b"sort=" + b",".join([b"text"] * 9),
        b"where=" + quote("(" * 250 + "true" + ")" * 250), b"where=" + quote(" || ".join(["text == 'a'"] * 900)),
        b"filter[whole.in]=" + b",".join(b"%d" % number for number in range(8_000)),
        b"filter[text.in]=" + b"," * 5_000, b"include=" + b",".join([b"parts"] * 60),
        b"include=" + b"parts.whole_of." * 20 + b"parts", b"filter[" + b"parts.whole_of." * 40 + b"text]=x",
        b"filter[text.like]=" + quote("%a" * 2_000), b"filter[prose.ilike]=" + quote("%_" * 2_000),
        b"page=9223372036854775807&per_page=100", b"page=99999999999&per_page=100",
        b"fields=" + b",".join([b"text"] * 1_000),
        b"where=" + quote("now - days(1e308) < moment"),
        b"where=" + quote("text in ['" + "','".join(map(str, range(2_000))) + "']"),
        b"where=" + quote("!" * 150 + "flag"), b"where=" + quote("exact == 1e999999"),
        b"where=" + quote("whole + whole * 2147483647 > 1"),
    ):
        try_query(judge, stage, listing, "parameter many", query, None)


def try_filters(judge, stage, listing, share, texts):
    for name in [*TYPES, "id", "made_at", "kept", "nothing"]:
        for operator in OPERATORS:
            for text in pick(texts, max(1, int(24 * share)), f"{name}{operator}"):
                answer = try_query(
                    judge, stage, listing, f"parameter filter[{name}{operator}]",
                    quote(f"filter[{name}{operator}]") + b"=" + quote(text), None
                )
                type = TYPES.get(name, {}).get("type")
                is_plain = operator in ("", ".eq", ".neq", ".gt", ".lt")
                can = {
                    "int": r"[+-]?[0-9.eE+-]+", "bigint": r"[+-]?[0-9.eE+-]+", "uuid": r"[0-9a-fA-F-]{36}",
                    "date": r"\d{4}-\d\d-\d\d", "boolean": "true|false"
                }.get(type)
                if answer.status == 200 and is_plain and can and not re.fullmatch(can, text, re.ASCII):
                    judge.wrong(f"a filter of {type} takes what is none", f"filter[{name}{operator}]={text[:80]!r}")
                if answer.status == 200 and operator in OPERATORS[-6:] + [".", ".near"]:
                    judge.wrong("an operator that is none is taken", f"filter[{name}{operator}]")


def try_query(judge, stage, route, position, query, must):
    target, body = stage.target(route), right_body(stage, route)
    answer = judge.ask(route, position, repr(query)[:100], target + b"?" + query, body, caller_of(route), must=must)
    stage.clean_up(route, answer, target)
    return answer


# MARK: paths


RAW_PATHS = [
    b"/../..", b"/..%2f..", b"/%2e%2e/%2e%2e", b"/%00", b"/%", b"/%zz", b"/%ff", b"/%c0%ae%c0%ae", b"/%ed%a0%80",
    b"/\xff\xfe", b"//", b"///", b"/.", b"/;x=1", b"/\\..\\..", b"/%252e%252e", b"/" + b"a/" * 2_000,
    b"/" + b"a" * 20_000, b"/%F0%9F%98%80", b"/*", b"/~", b"/'\"<>", b"/{a}", b"/:id", b"/|", b"/^",
]


def raw_path(path, raw):
    """The path with its last part replaced; where it has only one, with more behind it."""
    return (path.rsplit(b"/", 1)[0] if path.count(b"/") > 1 else path) + raw


def try_paths(judge, stage, tried, share):
    """Every string in every part of every path, and paths that are none."""
    texts = [text for text in corpus.strings(share < 1) if len(text) <= 5_000] + corpus.numbers()[:60]
    ours = {"every", "ticket", "part", "tag", "victim", "customer", "agent", "response", APP, "elsewhere"}
    for route in tried:
        for part in route.parts:
            for text in pick(texts, max(3, int(110 * share)), f"{route} {part}"):
                # What is there is not to be taken away by its right name.
                if text in ours and route.method != "GET" or text in (".", ".."):
                    continue
                target, body = stage.target(route, **{part[1:]: quote(text)}), right_body(stage, route)
                for role in (caller_of(route), *((USER, ANONYMOUS) if zlib.crc32(target) % 12 == 0 else ())):
                    answer = judge.ask(route, f"path {part}", repr(text)[:80], target, body, role)
                    judge_caller(judge, route, role, answer, f"path {text[:80]!r}")
                    stage.clean_up(
                        route, answer, target
                    ) if role == caller_of(route) and "_events" not in route.path else None
        for raw in pick(RAW_PATHS, max(2, int(len(RAW_PATHS) * share)), str(route)):
            whole = stage.target(route)
            answer = judge.ask(
                route, "path raw", repr(raw)[:80], raw_path(whole, raw), right_body(stage, route), caller_of(route)
            )
            if answer.status < 300 and route.method == "DELETE":
                stage.clean_up(route, answer, whole)
    for method in ("OPTIONS", "TRACE", "PROPFIND", "get", "X" * 500, "HEAD", "PURGE", "LINK"):
        for path in (b"/health", f"/api/{APP}/every".encode(), b"/nothing", b"/"):
            judge.ask(Route(method, path.decode(), {}), "method", method[:40], path)


# MARK: forms


def try_forms(judge, stage, tried, share):
    """Uploads: forms that are none, and names and types of files that are odd."""
    route = next(route for route in tried if route.path.endswith("/_files/upload"))
    good = b'form-data; name="file"; filename="a.txt"'
    form, kind = multipart([(good, b"hello")]), b"multipart/form-data; boundary=xyz"
    bad = {
        "no end": (kind, form[:-6]), "cut in the head": (kind, form[:30]), "cut in the content": (kind, form[:-20]),
        "empty": (kind, b""), "another boundary": (b"multipart/form-data; boundary=abc", form),
        "no boundary": (b"multipart/form-data", form),
        "empty boundary": (b'multipart/form-data; boundary=""', form),
        "boundary of 71": (b"multipart/form-data; boundary=" + b"x" * 71, form),
        "boundary of 70, other": (b"multipart/form-data; boundary=" + b"x" * 70, form),
        "two parts": (kind, multipart([(good, b"a"), (good, b"b")])),
        "another name": (kind, multipart([(b'form-data; name="other"; filename="a"', b"a")])),
        "no file name": (kind, multipart([(b'form-data; name="file"', b"a")])),
        "no name": (kind, multipart([(b"form-data", b"a")])),
        "no disposition": (kind, b"--xyz\r\n\r\nhello\r\n--xyz--\r\n"),
        "attachment": (kind, multipart([(b'attachment; name="file"; filename="a"', b"a")])),
        "open quote": (kind, multipart([(b'form-data; name="file"; filename="a', b"a")])),
        "no parts": (kind, b"--xyz--\r\n"), "only newlines": (kind, b"\r\n" * 1_000),
        "bare LF": (kind, form.replace(b"\r\n", b"\n")), "JSON": (b"application/json", b"{}"),
        "mixed": (b"multipart/mixed; boundary=xyz", form),
        "a head of 100 kB": (kind, b"--xyz\r\nX: " + b"x" * 100_000 + b"\r\n\r\nhello\r\n--xyz--\r\n"),
        "10000 heads": (kind, b"--xyz\r\n" + b"X: y\r\n" * 10_000 + b"\r\nhello\r\n--xyz--\r\n"),
        "10000 parts": (kind, multipart([(b'form-data; name="x"', b"")] * 10_000)),
        "random": (kind, judge.draw.randbytes(5_000)),
        "nested": (
            kind,
            multipart(
                [
                    (b'form-data; name="file"; filename="a"\r\nContent-Type: multipart/mixed; boundary=abc', b"a"),
                    (good, b"")
                ]
            )
        ),
        "preamble of 200 kB": (kind, b"x" * 200_000 + b"\r\n" + form[:-6]),
        "NUL boundary": (b"multipart/form-data; boundary=x\xffz", form),
        "base64": (b"multipart/form-data; boundary", form),
    }
    for name, (content_type, body) in bad.items():
        try_form(judge, stage, route, name, content_type, body, "be refused")
    for text in pick(
        [text for text in corpus.strings(share < 1) if len(text) < 3_000], max(15, int(250 * share)), "names"
    ):
        name = text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        try_form(
            judge, stage, route, f"file name {text[:60]!r}", kind,
            multipart([(b'form-data; name="file"; filename="' + name + b'"', b"<html>")]), None
        )
    for name, content in {
        "HTML": b"<html><script>", "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>",
        "PNG, cut": b"\x89PNG\r\n\x1a\n", "PDF": b"%PDF-", "ZIP": b"PK\x03\x04", "ELF": b"\x7fELF", "nothing": b"",
        "a boundary almost": b"\r\n--xy\r\n--xyx\r\n-" * 500, "NULs": b"\0" * 5_000, "CRLFs": b"\r\n" * 3_000,
    }.items():
        try_form(judge, stage, route, f"content {name}", kind, multipart([(good, content)]), None)


def try_form(judge, stage, route, name, content_type, body, must):
    for role in (ADMIN, USER, ANONYMOUS) if must else (ADMIN,):
        answer = judge.ask(
            route, "form", name, stage.target(route), body, role, [(b"Content-Type", content_type)], must
        )
        judge_caller(judge, route, role, answer, name)
    if answer.status != 201:
        return
    made = answer.json()["data"]
    for headers in ([], [(b"Range", b"bytes=0-0")]):
        sent = head("GET", answer.headers["location"].encode(), judge.fill(ADMIN, headers, None, []))
        got = judge.wire.ask(sent)
        judge.judge(got, f"the file of {name}", "a file")
        shown = got.headers.get("content-disposition", "")
        if re.search(r"[\0-\x1f\x7f]", shown) or got.status not in (200, 206, 416) or "set-cookie" in got.headers:
            judge.wrong("a file's name gets into the head of its answer", f"{name}: {got.status} {got.headers}")
    if len(made["filename"].encode()) > 200 or re.search(r"[\0-\x1f/\\]", made["filename"]):
        judge.wrong("the name of a file is kept as it was sent", f"{made['filename']!r}")
    judge.tidy("DELETE", answer.headers["location"])


# MARK: HTTP itself


REFUSED, TAKEN, ANYTHING = "refused", "taken", "anything"


def smuggled(judge, title):
    """A create that must not come through behind another request."""
    body = json.dumps({"label": title}).encode()
    return head("POST", f"/api/{APP}/tag".encode(), judge.fill(ADMIN, [], body, [])) + body


def creating(judge, framing, body, version=b"HTTP/1.1", before=b""):
    """A create with framing of its own."""
    token = b"Authorization: Bearer " + judge.token(ADMIN).encode() + b"\r\n"
    return (
        b"POST /api/" + APP.encode() + b"/tag " + version + b"\r\n" + before + b"Host: localhost\r\n" + token
        + b"Content-Type: application/json\r\n" + framing + b"\r\n" + body
    )


def framings(judge):
    """Requests that tell two lengths, or none that can be: (name, bytes, what must come of it)."""
    body = b'{"label": "framed"}'
    size, chunked = str(len(body)).encode(), b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    hidden = smuggled(judge, "smuggled")
    length = lambda text: b"Content-Length: " + text + b"\r\n"
    coding = lambda text: b"Transfer-Encoding: " + text + b"\r\n"
    yield "right, by length", creating(judge, length(size), body), TAKEN
    yield "right, in chunks", creating(judge, coding(b"chunked"), chunked), TAKEN
    yield "right, in chunks of one byte", creating(
        judge, coding(b"chunked"), b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    ), TAKEN
    yield "right, chunk extensions", creating(
        judge, coding(b"chunked"), b'%x;a=b;c="d;e"\r\n%s\r\n0;z\r\n\r\n' % (len(body), body)
    ), TAKEN
    yield "right, a trailer", creating(
        judge, coding(b"chunked"), b"%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(body), body)
    ), TAKEN
    yield "right, chunked in capitals", creating(judge, coding(b"ChUnKeD"), chunked), TAKEN
    yield "length, then chunked", creating(judge, length(b"5") + coding(b"chunked"), b"0\r\n\r\n" + hidden), REFUSED
    yield "chunked, then length", creating(judge, coding(b"chunked") + length(b"5"), b"0\r\n\r\n" + hidden), REFUSED
    yield "length of all and chunked", creating(
        judge, length(str(len(chunked)).encode()) + coding(b"chunked"), chunked
    ), REFUSED
    yield "length 0 and chunked", creating(judge, length(b"0") + coding(b"chunked"), chunked), REFUSED
    for name, text in {
        "two": size + b"\r\nContent-Length: 3", "two, the lesser first": b"3\r\nContent-Length: " + size,
        "a list": size + b", 3", "a list of equals, one longer": size + b"," + size + b"0", "plus": b"+" + size,
        "minus": b"-" + size, "hex": b"0x13", "of spaces": b"1 9", "fraction": size + b".0", "exponent": b"1e1",
        "empty": b"", "a word": b"x", "2^64": b"18446744073709551616", "2^63": b"9223372036854775808",
        "2^64 and a bit": b"18446744073709551635", "digits of another script": "١٩".encode(), "a tab within": b"1\t9",
        "a comma": b",", "quoted": b'"19"', "of 1000 digits": b"9" * 1_000, "semicolon": size + b";",
    }.items():
        yield f"length {name}", creating(judge, length(text), body + hidden), REFUSED
    yield "length twice the same", creating(judge, length(size) + length(size), body), ANYTHING
    yield "length with zeros", creating(judge, length(b"000" + size), body), ANYTHING
    yield "length with a space before the colon", creating(judge, b"Content-Length : " + size + b"\r\n", body), REFUSED
    for name, text in {
        "identity": b"identity", "gzip": b"gzip", "gzip, chunked": b"gzip, chunked",
        "chunked, identity": b"chunked, identity", "chunked, gzip": b"chunked, gzip", "xchunked": b"xchunked",
        "chunkedx": b"chunkedx", "quoted": b'"chunked"', "with a parameter": b"chunked;a=b",
        "of vertical tab": b"\x0bchunked", "of vertical tab behind": b"chunked\x0b", "empty": b"", "a comma": b",",
        "of two words": b"chun ked", "NUL": b"chunked\0", "soft hyphen": b"chu\xc2\xadnked",
        "twice in one": b"chunked, chunked",
    }.items():
        # A coding that is not known, then chunks: 501 is what ought to come, and the lengths are clear all the same.
        must, more = (ANYTHING, b"") if name == "gzip, chunked" else (REFUSED, hidden)
        yield f"coding {name}", creating(judge, coding(text), chunked + more), must
        yield f"coding {name} and a length", creating(judge, coding(text) + length(size), body + hidden), REFUSED
    yield "coding twice", creating(judge, coding(b"chunked") + coding(b"chunked"), chunked + hidden), REFUSED
    yield "coding chunked and identity", creating(
        judge, coding(b"chunked") + coding(b"identity"), chunked + hidden
    ), REFUSED
    yield "coding with a space before the colon", creating(
        judge, b"Transfer-Encoding : chunked\r\n", chunked + hidden
    ), REFUSED
    yield "coding folded", creating(judge, b"Transfer-Encoding:\r\n chunked\r\n", chunked), REFUSED
    yield "coding with a tab before", creating(judge, b"\tTransfer-Encoding: chunked\r\n", chunked), REFUSED
    yield "coding in HTTP/1.0", creating(judge, coding(b"chunked"), chunked + hidden, b"HTTP/1.0"), ANYTHING
    yield "coding behind a bare LF", creating(
        judge, b"X: y\nTransfer-Encoding: chunked\r\n" + length(size), body + hidden
    ), REFUSED
    yield "coding behind a bare CR", creating(
        judge, b"X: y\rTransfer-Encoding: chunked\r\n" + length(size), body
    ), REFUSED
    for name, text in {
        "of a word": b"x", "of a letter past f": b"g\r\nx", "minus": b"-1", "plus": b"+13", "0x": b"0x13",
        "empty": b"", "of 17 digits": b"1" * 17, "of 16 f": b"f" * 16, "of 1000 zeros": b"0" * 1_000 + b"13",
        "with a space before": b" 13", "with a space within": b"1 3", "in another script": "١".encode(),
        "NUL": b"1\0" b"3", "underscore": b"1_3",
        "a dot": b"13.0", "2^63": b"8000000000000000", "2^64": b"10000000000000000", "with a bare CR": b"13\r",
        "with an LF in the extension": b"13;a\nb", "with a NUL in the extension": b"13;a\0b",
    }.items():
        must, more = (ANYTHING, b"") if name == "of 1000 zeros" else (REFUSED, hidden)
        yield f"chunk {name}", creating(
            judge, coding(b"chunked"), text + b"\r\n" + body + b"\r\n0\r\n\r\n" + more
        ), must
    yield "chunk without its end", creating(
        judge, coding(b"chunked"), b"13\r\n" + body + b"0\r\n\r\n" + hidden
    ), REFUSED
    yield "chunk longer than it says", creating(
        judge, coding(b"chunked"), b"5\r\n" + body + b"\r\n0\r\n\r\n" + hidden
    ), REFUSED
    yield "chunks with bare LF", creating(judge, coding(b"chunked"), b"13\n" + body + b"\n0\n\n" + hidden), REFUSED
    yield "chunk extension of 1 MB", creating(
        judge, coding(b"chunked"), b"13;a=" + b"x" * 1_000_000 + b"\r\n" + body + b"\r\n0\r\n\r\n"
    ), ANYTHING
    yield "trailers of 1 MB", creating(
        judge, coding(b"chunked"), b"%x\r\n%s\r\n0\r\n" % (len(body), body) + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n"
    ), ANYTHING
    yield "a trailer with a length", creating(
        judge, coding(b"chunked"),
        b"%x\r\n%s\r\n0\r\nContent-Length: 500\r\nAuthorization: x\r\n\r\n" % (len(body), body)
    ), ANYTHING
    yield "no length at all", creating(judge, b"", b""), REFUSED
    yield "a body without a length", creating(judge, b"", body), REFUSED
    yield "a body on GET, and a request in it", head(
        "GET", b"/health", [(b"Host", b"localhost"), (b"Content-Length", str(len(hidden)).encode())]
    ) + hidden, TAKEN


def heads(judge):
    """Heads that are none, or very much of one."""
    get = lambda line, more=b"Host: localhost\r\n": line + b"\r\n" + more + b"\r\n"
    for version in (
        b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1", b"HTTP/11", b"HTTP/1.10", b"http/1.1",
        b"HTTP/1.1x", b"HTTPS/1.1", b"HTTP/-1.1", b"HTTP/\xd9\xa1.1", b"RTSP/1.0", b"", b"HTTP 1.1", b"ICE/1.0"
    ):
        yield f"version {version!r}", get(b"GET /health " + version), ANYTHING if version in (
            b"HTTP/1.2", b"HTTP/0.9", b"RTSP/1.0"
        ) else REFUSED
    yield "version 1.0", get(b"GET /health HTTP/1.0"), TAKEN
    yield "version 1.0 without Host", get(b"GET /health HTTP/1.0", b""), TAKEN
    yield "no version", b"GET /health\r\n\r\n", REFUSED
    yield "no Host", get(b"GET /health HTTP/1.1", b""), REFUSED
    yield "no Host at a create", creating(
        judge, b"Content-Length: 19\r\n", b'{"label": "framed"}'
    ).replace(b"Host: localhost\r\n", b""), REFUSED
    yield "two Hosts", get(b"GET /health HTTP/1.1", b"Host: localhost\r\nHost: evil.example\r\n"), REFUSED
    yield "empty Host", get(b"GET /health HTTP/1.1", b"Host:\r\n"), ANYTHING
    yield "Host of nonsense", get(b"GET /health HTTP/1.1", b"Host: a b@c/d?e\r\n"), ANYTHING
    yield "absolute form", get(b"GET http://localhost/health HTTP/1.1"), TAKEN
    yield "absolute form of another host", get(b"GET http://evil.example/health HTTP/1.1"), ANYTHING
    yield "absolute form, https", get(b"GET https://localhost:1/health HTTP/1.1"), ANYTHING
    yield "authority form", get(b"GET localhost:80 HTTP/1.1"), REFUSED
    yield "asterisk form", get(b"OPTIONS * HTTP/1.1"), ANYTHING
    yield "asterisk GET", get(b"GET * HTTP/1.1"), REFUSED
    yield "CONNECT", get(b"CONNECT evil.example:443 HTTP/1.1"), REFUSED
    yield "CONNECT with a path", get(b"CONNECT /health HTTP/1.1"), REFUSED
    yield "TRACE", get(b"TRACE /health HTTP/1.1", b"Host: localhost\r\nAuthorization: Bearer secret\r\n"), REFUSED
    yield "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", REFUSED
    yield "upgrade h2c", get(
        b"GET /health HTTP/1.1",
        b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    ), TAKEN
    yield "upgrade websocket", get(
        b"GET /health HTTP/1.1",
        b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    ), TAKEN
    yield "TLS ClientHello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(160)), REFUSED
    yield "SSH", b"SSH-2.0-OpenSSH_9.0\r\n", REFUSED
    yield "SMB", b"\0\0\0\x85\xffSMBr\0\0\0\0\x18S\xc8" + b"\0" * 100, REFUSED
    yield "PROXY protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(b"GET /health HTTP/1.1"), REFUSED
    yield "PROXY protocol 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\0" * 12 + get(b"GET /health HTTP/1.1"), REFUSED
    yield "PostgreSQL", b"\0\0\0\x08\x04\xd2\x16\x2f", REFUSED
    yield "memcached", b"stats\r\n", REFUSED
    yield "an empty line before", b"\r\n" + get(b"GET /health HTTP/1.1"), ANYTHING
    yield "10000 empty lines before", b"\r\n" * 10_000 + get(b"GET /health HTTP/1.1"), ANYTHING
    yield "an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", REFUSED
    for method in (b"", b"G ET", b"GET\0", b"G\xc3\x89T", b"(GET)", b"GET:", b"X" * 100_000, b'"GET"', b"\x7f"):
        yield f"method {method[:10]!r}", get(method + b" /health HTTP/1.1"), REFUSED
    for target in (
        b"", b" /health", b"health", b"/health x", b"/hea\tlth", b"/hea\0lth", b"/health\x01", b"/health\x7f",
        b"/hea\rlth", b"/health#x", b"\\health"
    ):
        yield f"target {target!r}", get(
            b"GET " + target + b" HTTP/1.1"
        ), ANYTHING if target in (b" /health", b"/health#x") else REFUSED
    for name, line in {
        "NUL in a value": b"X: a\0b", "NUL in a name": b"X\0Y: a", "space in a name": b"X Y: a",
        "space before the colon": b"X : a", "no colon": b"nothing", "no name": b": a", "folded": b"X: a\r\n b",
        "folded with a tab": b"X: a\r\n\tb", "bare CR": b"X: a\rb", "control in a value": b"X: a\x01b",
        "control in a name": b"X\x01: a",
        "DEL in a value": b"X: a\x7fb", "a name in UTF-8": "Ä: a".encode(), "a name of brackets": b"(X): a",
        "a name in quotes": b'"X": a', "a name with a slash": b"a/b: c", "a space first": b" X: a",
    }.items():
        yield f"header, {name}", get(b"GET /health HTTP/1.1", b"Host: localhost\r\n" + line + b"\r\n"), REFUSED
    yield "header, a first line that is folded", get(
        b"GET /health HTTP/1.1", b" folded\r\nHost: localhost\r\n"
    ), REFUSED
    yield "header, bare LF at all ends", b"GET /health HTTP/1.1\nHost: localhost\n\n", ANYTHING
    yield "header, CR at all ends", b"GET /health HTTP/1.1\rHost: localhost\r\r", REFUSED
    yield "header, high bytes in a value", get(
        b"GET /health HTTP/1.1", b"Host: localhost\r\nX: \xff\xfe\x80\r\n"
    ), ANYTHING
    for size in (1_000, 15_000, 70_000, 100_000, 1_000_000, 12_000_000):
        yield f"a header of {size} bytes", get(
            b"GET /health HTTP/1.1", b"Host: localhost\r\nX: " + b"x" * size + b"\r\n"
        ), TAKEN if size <= 15_000 else ANYTHING if size == 70_000 else REFUSED
        yield f"a name of a header of {size} bytes", get(
            b"GET /health HTTP/1.1", b"Host: localhost\r\n" + b"x" * size + b": y\r\n"
        ), ANYTHING if size < 100_000 else REFUSED
        yield f"a path of {size} bytes", get(b"GET /" + b"x" * size + b" HTTP/1.1"), REFUSED
        yield f"a query of {size} bytes", get(b"GET /health?" + b"x" * size + b" HTTP/1.1"), REFUSED
    for count in (50, 500, 10_000, 200_000):
        lines = b"".join(b"X-%d: y\r\n" % number for number in range(count))
        yield f"{count} headers", get(
            b"GET /health HTTP/1.1", b"Host: localhost\r\n" + lines
        ), TAKEN if count == 50 else ANYTHING if count == 500 else REFUSED
        yield f"{count} empty headers of one name", get(
            b"GET /health HTTP/1.1", b"Host: localhost\r\n" + b"a:\r\n" * count
        ), ANYTHING if count < 100_000 else REFUSED
    for number in range(12):
        yield f"random bytes {number}", judge.draw.randbytes(judge.draw.randrange(10, 5_000)), REFUSED
    for number in range(30):
        text = bytearray(creating(judge, b"Content-Length: 19\r\n", b'{"label": "framed"}'))
        for _ in range(judge.draw.randrange(1, 6)):
            text[judge.draw.randrange(len(text))] = judge.draw.randrange(256)
        yield f"a create with bytes changed {number}", bytes(text), ANYTHING


def try_abuse(judge, stage, tried, share):
    """Requests over raw sockets; the next ones get their answer all the same."""
    cases = [*framings(judge), *heads(judge)]
    if share < 1:
        cases = [case for case in cases if len(case[1]) < 2_000_000]
    for name, text, must in cases:
        before = rows_of(judge, "tag")
        answers, seconds, is_closed = raw(judge, text)
        judge.positions["abuse"] += 1
        judge.statuses[answers[0] if answers else "closed"] += 1
        label = f"{name}: {answers} {'closed' if is_closed else 'open'} after {seconds:.2f} s"
        if any(status >= 500 for status in answers):
            judge.wrong(f"5xx: {name}", label)
        if not answers and not is_closed:
            judge.wrong(f"neither an answer nor an end: {name}", label)
        if must == REFUSED and any(status < 400 for status in answers):
            judge.wrong(f"accepted what must be refused: {name}", label)
        if must == TAKEN and answers[:1] not in ([200], [201]):
            judge.wrong(f"not taken: {name}", label)
        made = rows_of(judge, "tag") - before
        if must == REFUSED and made or made > 1 or smuggled_rows(judge):
            judge.wrong(f"came through: {name}", f"{label}, {made} rows more")
        if made:
            stage.sweep(("tag",))
        alive(judge, name)
    endings(judge)
    pipelining(judge, 60 if share < 1 else 500)
    early_ends(judge, 10 if share < 1 else 60)
    large_bodies(judge, stage)
    judge.note_rows()


def rows_of(judge, name):
    sent = head("GET", f"/api/{APP}/{name}?per_page=1".encode(), judge.fill(ADMIN, [], None, []))
    return json.loads(judge.wire.ask(sent).body)["meta"]["total"]


def smuggled_rows(judge):
    sent = head("GET", f"/api/{APP}/tag?per_page=1&filter[label]=smuggled".encode(), judge.fill(ADMIN, [], None, []))
    return json.loads(judge.wire.ask(sent).body)["meta"]["total"]


def alive(judge, after):
    if judge.server.process.poll() is not None:
        raise RoundFailure(
            f"the server ended with {judge.server.process.returncode} after {after}: {judge.server.last_words()}"
        )
    answer = judge.wire.ask(head("GET", b"/health", [(b"Host", b"localhost")]))
    if answer.status != 200 or answer.seconds > SLOWEST:
        judge.wrong("not well afterwards", f"{answer.status} in {answer.seconds:.2f} s after {after}")


def raw(judge, text, wait=1.5):
    """Sends bytes on a connection of their own. Returns the statuses of the answers, and whether it was closed."""
    begin, received, is_closed = time.monotonic(), b"", False
    with socket.create_connection(("127.0.0.1", judge.server.port), timeout=wait) as plug:
        sender = threading.Thread(target=send_quietly, args=(plug, text), daemon=True)
        sender.start()
        try:
            while piece := plug.recv(65_536):
                received += piece
                plug.settimeout(0.06)  # an answer is here; a second one would follow at once
            is_closed = True
        except TimeoutError:
            # What was sent waits for more; without more it is over.
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_WR)
                plug.settimeout(wait)
                while piece := plug.recv(65_536):
                    received += piece
                is_closed = True
        except OSError:
            is_closed = True
    sender.join()
    return statuses(received), time.monotonic() - begin, is_closed


def send_quietly(plug, text):
    with contextlib.suppress(OSError):
        plug.sendall(text)


def statuses(received):
    """Of all answers in what came; those within a body are passed over."""
    found, rest = [], received
    while match := re.match(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n", rest):
        end = rest.find(b"\r\n\r\n")
        if end < 0:
            break
        length = re.search(rb"\r\ncontent-length: *(\d+)", rest[:end], re.IGNORECASE)
        if match[1] != b"100":
            found.append(int(match[1]))
        rest = rest[end + 4 + (int(length[1]) if length and match[1] not in (b"100", b"204", b"304") else 0):]
    if rest and found:
        found.append(-1)
    return found


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


def endings(judge):
    """A connection goes on after an answer, or ends with it; one that is left open and answers nothing is neither."""
    for more in (
        [], [(b"Connection", b"keep-alive")], [(b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")],
        [
            (b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"),
            (b"HTTP2-Settings", b"AAMAAABkAARAAAAAAAIAAAAA")
        ],
        [(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")], [(b"Connection", b"close")],
        [(b"Connection", b"Close")], [(b"Connection", b"close, keep-alive")], [(b"Connection", b"keep-alive, close")],
        [(b"Connection", b"close"), (b"Connection", b"x")],
    ):
        for method, body in (("GET", None), ("POST", b"{}")):
            wire = Wire(judge.server.port, timeout=SLOWEST)
            wire.open()
            judge.positions["abuse"] += 1
            length = [] if body is None else [(b"Content-Length", b"2")]
            wire.send(head(method, b"/health", [(b"Host", b"localhost")] + more + length) + (body or b""))
            first = wire.read(time.monotonic())
            asks_for_end = any(name == b"Connection" and b"close" in value.lower() for name, value in more)
            begin = time.monotonic()
            if wire.plug is None:
                second = None
            elif asks_for_end:
                second = wire.read(begin)
            else:
                wire.send(head("GET", b"/health", [(b"Host", b"localhost")]))
                second = wire.read(begin)
            label = f"{method} with {more}: {first.status}, then {second and (second.status, round(second.seconds, 2))}"
            if first.status not in (200, 405):
                judge.wrong("no answer before the end", label)
            if asks_for_end and second and second.seconds > 1:
                judge.wrong(f"open though the client asked for the end: {more}", label)
            if not asks_for_end and second and second.status != 200 and (second.seconds > 1 or second.status >= 400):
                judge.wrong(f"nothing more is answered on a connection that is kept open: {method} with {more}", label)
            wire.close()


def early_ends(judge, count):
    """Connections that end in the middle of a request or of an answer, gently and not; none of it leaves a row."""
    request = smuggled(judge, "early")
    listing = head("GET", f"/api/{APP}/_openapi.json".encode(), judge.fill(ADMIN, [], None, []))
    before = rows_of(judge, "tag")
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
    if rows_of(judge, "tag") != before:
        judge.wrong(
            "half a request was carried out", f"{rows_of(judge, 'tag') - before} rows more after {count} early ends"
        )


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
            answers, seconds, _ = raw(judge, creating(judge, framing, text), wait=4)
            judge.positions["abuse"] += 1
            if answers[:1] != [must] and not (must == 413 and not answers):
                judge.wrong("a large body", f"{size} bytes by {name}: {answers} in {seconds:.1f} s, not {must}")
    alive(judge, "large bodies")


def split(text, size):
    return [text[place : place + size] for place in range(0, len(text), size)]


class SlowClients:
    """Clients that send a byte now and then: many at once, while everything else goes on."""

    def __init__(self, judge, count, waits_for_heads):
        token = b"Authorization: Bearer " + judge.token(ADMIN).encode() + b"\r\n"
        start = b"POST /api/" + APP.encode() + b"/tag HTTP/1.1\r\nHost: localhost\r\n" + token
        form = b"POST /api/" + APP.encode() + b"/_files/upload HTTP/1.1\r\nHost: localhost\r\n" + token
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
            threading.Thread(target=self.work, args=(number, *client), daemon=True) for number,
            client in enumerate(self.clients)
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


# MARK: memory


def memory_megabytes(judge):
    status = pathlib.Path(f"/proc/{judge.server.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def try_memory(judge, stage, tried, share):
    """The heaviest of it again and again: what one round needs is there for the next one."""
    by_size = sorted(corpus.documents(is_quick=share < 1), key=lambda document: len(document.text))
    documents = by_size[-8 if share < 1 else -24:]
    some = [route for route in tried if route.takes_body and str(route) in (
        "POST /api/:app/:entity", "POST /api/:app/_batch", "POST /api/:app/_admin/import",
        "POST /api/:app/_admin/rules/test", "POST /api/:app/auth/login", "POST /api/:app/_events/:event",
    )]
    values = pick(corpus.values(share < 1), 150, "memory")
    create = next(route for route in some if str(route) == "POST /api/:app/:entity")
    after = []
    for _ in range(4):
        for route in some:
            for document in documents:
                target = stage.target(route)
                stage.clean_up(route, judge.ask(route, "memory", document.name, target, document.text), target)
        for raw_value in values:
            try_value(judge, stage, create, ADMIN, 0, ("any",), raw_value)
        for name, text, _ in [case for case in heads(judge) if len(case[1]) > 50_000][:12]:
            raw(judge, text, wait=0.5)
        stage.sweep()
        after.append(memory_megabytes(judge))
    if after[-1] - after[1] > GROWTH_MB:
        judge.wrong(
            "memory grows",
            f"after each round: {' '.join(f'{size:.0f}' for size in after)} MB; "
            f"more than {GROWTH_MB} MB from the second to the last"
        )
    if max(after) > MOST_MB:
        judge.wrong("memory is much", f"{max(after):.0f} MB, more than {MOST_MB} MB")
    return "rounds " + " ".join(f"{size:.0f}" for size in after) + " MB"


# MARK: a run


PARTS = {
    "bodies": try_bodies, "values": try_values, "headers": try_headers, "parameters": try_parameters,
    "paths": try_paths, "forms": try_forms, "abuse": try_abuse, "memory": try_memory
}
SHARES = {
    "bodies": 0.03, "values": 0.02, "headers": 0.3, "parameters": 0.03, "paths": 0.02, "forms": 0.2, "abuse": 0.5,
    "memory": 0.5
}


def run_try(options, directory, seed):
    (directory / "app.yaml").write_text(
        f"server:\n  request_timeout_s: {BODY_SECONDS}\ndatabase:\n  synchronous: normal\n"
        f"auth:\n  bcrypt_cost: 4\n  failures_per_account: 1000000\n  failures_per_address: 1000000\n",
        encoding="utf-8"
    )
    url = None
    if options.store == "postgres":
        url = re.sub(r"/[^/]*$", "/rocket", options.url)
        clear_postgres(options.url)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        server = Server(options.rocket, directory, 0, url)
        stack.callback(server.kill)
        judge = Judge(server, directory, None, seed)
        stage = Stage(judge, receiver)
        rows = PostgresRows(options.url) if url else SQLiteRows(directory)
        if url:
            stack.callback(rows.close)
        stage.open_rows(rows)
        fresh = memory_megabytes(judge)
        tried = routes()
        slow = SlowClients(judge, 4 if options.quick else 10, not options.quick)
        notes, warm = [], None
        for name in options.only or PARTS:
            part_begin, asked = time.monotonic(), sum(judge.statuses.values())
            note = PARTS[name](judge, stage, tried, SHARES[name] if options.quick else options.share)
            alive(judge, name)
            warm = warm or memory_megabytes(judge)
            notes.append(
                f"  {name}: {sum(judge.statuses.values()) - asked} answers in {time.monotonic() - part_begin:.0f} s, "
                f"then {memory_megabytes(judge):.0f} MB{'; ' + note if note else ''}"
            )
            print(notes[-1], flush=True)
        print(f"  slow clients were kept: {slow.end()}", flush=True)
        missing = [str(route) for route in tried if not judge.driven[str(route)]]
        if missing and not options.only:
            judge.wrong("routes that were not driven", ", ".join(missing))
        if not judge.refused_and_compared:
            judge.wrong("no refused request was compared", "")
        judge.sign_in()
        made = judge.must("POST", f"/api/{APP}/every", stage.record())
        if judge.must("GET", f"/api/{APP}/every/{made['id']}")["title"] != made["title"]:
            judge.wrong("a record is not what it was made as", str(made))
        server.stop()
        judge_log(judge, directory)
        last = notes[-1].split("then ")[1].split(" MB")[0]
        memory = f"{fresh:.0f} MB fresh, {warm:.0f} MB after the first part, {last} MB at the end"
    print(summary(judge, memory, time.monotonic() - begin), flush=True)
    if judge.problems:
        lines = [f"{kind} ({count} times): {text}"[:900] for kind, (text, count) in judge.problems.items()]
        raise RoundFailure(f"{len(lines)} kinds of wrong answers:\n" + "\n".join(lines))
    return sum(judge.statuses.values())


def clear_postgres(url):
    """Each try begins with nothing."""
    for name in ("rocket", f"rocket_{APP}", "rocket_elsewhere"):
        subprocess.run(
            ["psql", url, "-XAqc", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'], check=True, capture_output=True
        )


def judge_log(judge, directory):
    for line in (directory / "server.log").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split(" ", 2)
        if len(words) < 2 or words[1] in ("error", "critical") or re.search(
            r"Fatal error|Crash|\*\*\*|Thread \d+ crashed", line
        ):
            judge.wrong(f"in the log: {' '.join(words[1:])[:60]}", line[:500])


def summary(judge, memory, seconds):
    by_status = ", ".join(f"{status} {count}" for status, count in sorted(judge.statuses.items(), key=str))
    return (
        f"  {len(corpus.documents())} documents, {len(corpus.strings())} strings, {len(corpus.numbers())} numbers, "
        f"{len(corpus.values())} values; {len(judge.driven)} routes and paths\n"
        f"  {sum(judge.statuses.values())} requests in {seconds:.0f} s: {by_status}\n"
        f"  by position: {', '.join(f'{name} {count}' for name, count in judge.positions.most_common())}\n"
        f"  {judge.refused_and_compared} refused ones changed no row; slowest {judge.slowest[0]:.2f} s "
        f"({judge.slowest[1][:120]}); largest error {judge.largest_error[0]} bytes ({judge.largest_error[1][:120]})\n"
        f"  memory: {memory}"
    )


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--quick", action="store_true", help="a sample, within a minute")
    parser.add_argument("--share", type=float, default=1, help="of what the whole run tries, above 0")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {', '.join(PARTS)}")
    parser.set_defaults(seed=1)  # all is the same each time, random bytes too
    tries.run(
        parser, "hostile", run_try, lambda count: f"{count} requests, nothing wrong", lambda store, good,
        count: f"{store}: {len(good)} of {count} tries found nothing wrong"
    )


if __name__ == "__main__":
    main()
