"""Asks, and judges what is answered: its status, time, form and words, and the rows before it and after it."""
import collections
import contextlib
import json
import random
import re
import time
import urllib.parse

from app import APP
from kill9 import Client, RoundFailure
from routes import ADMIN, ANONYMOUS, PLATFORM, ROOT, SLOW, USER
from wire import Wire, asks_for_end, head, is_bare, says_end

SLOWEST = 2.0  # seconds
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
            (USER, APP, "agent@x.example", "password1"), (SLOW, APP, "slow@x.example", "password1"),
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
        self.judge_end(answer, headers, label)
        if must == "be refused" and 0 < answer.status < 400:
            self.wrong(
                f"accepted what must be refused: {position.split(' ')[0]} at {route}",
                f"{answer.status} {label} {(body or b'')[:200]!r}"
            )
        if self.rows and is_compared:
            self.compare(answer, label)
        return answer

    def judge(self, answer, label, where, sent=b"", patience=SLOWEST):
        self.statuses[answer.status] += 1
        if answer.seconds > self.slowest[0]:
            self.slowest = (answer.seconds, label)
        if answer.status == 0:
            return self.wrong(f"no answer: {where}", f"{label} after {answer.seconds:.2f} s")
        if answer.status >= 500:
            self.wrong(f"{answer.status}: {where}", f"{label}: {answer.body[:300]!r}")
        if answer.seconds > patience:
            self.wrong(f"slow: {where}", f"{answer.seconds:.2f} s for {answer.status} {label}")
        # What is no request line gets a bare 400 from below the server, which promises nothing more.
        line = sent.split(b"\r\n", 1)[0]
        if is_bare(answer) and not re.fullmatch(rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [!-~]+ HTTP/1\.1", line):
            return
        if "x-request-id" not in answer.headers or answer.headers.get("x-content-type-options") != "nosniff":
            self.wrong(f"headers are missing: {where}", f"{answer.status} {label}: {answer.headers}")
        if answer.status >= 400 and not line.startswith(b"HEAD "):
            self.judge_envelope(answer, label, where)
            if len(answer.body) > self.largest_error[0]:
                self.largest_error = (len(answer.body), label)
        self.judge_leaks(answer, label, where, sent)

    def judge_end(self, answer, headers, label):
        """Who asks for the end of a connection is told of it; nobody else is, but one who is refused may be."""
        must, said = asks_for_end(headers), says_end(answer)
        if answer.status and must and not said:
            self.wrong("the end of a connection is not told", f"{label}: {answer.headers}")
        if 0 < answer.status < 400 and said and not must:
            self.wrong("a connection ends for no reason", f"{label}: {answer.headers}")

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
        # A find may begin in it and end in words of ours.
        said += [match[0] for match in LEAKS.finditer(answer.body) if match[0][:16].lower() not in decoded]
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

    def tidy(self, method, path, body=None, role=ADMIN, patience=SLOWEST):
        """A request of ours that is right, and judged by nothing but its answer being none of a fault."""
        text = None if body is None else json.dumps(body).encode()
        sent = head(method, path.encode(), self.fill(role, [], text, [])) + (text or b"")
        answer = self.wire.ask(sent)
        self.judge(answer, f"{method} {path}", "a right request", patience=patience)
        if self.rows:
            self.note_rows()
        return answer

    def must(self, method, path, body=None, role=ADMIN, patience=SLOWEST):
        answer = self.tidy(method, path, body, role, patience)
        if not 200 <= answer.status < 300:
            raise RoundFailure(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body)["data"] if answer.body else None


def judge_caller(judge, route, role, answer, position):
    """Whom the matrix keeps out stays out, whatever comes along."""
    column = {USER: "plain", ANONYMOUS: "none"}.get(role)
    # Records have policies here, and the event is open to whoever has signed in.
    if column and not (
        route.is_of_records or "/_batch" in route.path or "/_events/" in route.path
    ) and route.statuses[column] in (401, 403) and answer.status < 400:
        judge.wrong(f"came in: {role} at {route}", f"{answer.status}, {position}")


def alive(judge, after):
    if judge.server.process.poll() is not None:
        raise RoundFailure(
            f"the server ended with {judge.server.process.returncode} after {after}: {judge.server.last_words()}"
        )
    answer = judge.wire.ask(head("GET", b"/health", [(b"Host", b"localhost")]))
    if answer.status != 200 or answer.seconds > SLOWEST:
        judge.wrong("not well afterwards", f"{answer.status} in {answer.seconds:.2f} s after {after}")
