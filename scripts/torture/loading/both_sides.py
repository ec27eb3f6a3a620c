"""Asks on both sides of bounds, and remembers what was wrong."""
from loading.wire import Wire

AT_ONCE = 1.0  # seconds in which a refusal is given
# Of the server: those that may be set are small.
BOUNDS = {
    "server": {"max_body_bytes": 1_000_000},
    "auth": {"failures_per_account": 5, "failures_per_address": 20},
    "files": {"max_bytes": 100_000, "max_bytes_per_day": 250_000},
    "webhooks": {"sync_timeout_s": 1},
    "database": {"max_open_apps": 3},
}


class Bounds:
    """Asks on both sides of each bound, and remembers what was wrong."""

    def __init__(self, stage, app, wire):
        self.stage, self.app, self.wire = stage, app, wire
        self.problems, self.count, self.slowest = [], 0, 0.0

    async def under(self, name, method, path, body=None, headers=(), status=None):
        answer = await self.wire.ask(method, self.path(path), body, headers)
        self.count += 1
        if answer.status not in ([status] if status else (200, 201)):
            self.problems.append(f"{name}, just under the bound: {answer}")
        return answer

    async def over(self, name, status, code, says, method, path, body=None, headers=()):
        """`says` must stand in the refusal, so that whoever reads it knows what is allowed."""
        answer = await self.wire.ask(method, self.path(path), body, headers)
        self.judge(name, answer, status, code, says)
        if not self.wire.is_open:  # which is the server's right where a body is not read to its end
            self.wire = await Wire.connect(self.stage.port, self.wire.token)
        return answer

    def judge(self, name, answer, status, code, says):
        self.count += 1
        self.slowest = max(self.slowest, answer.seconds)
        if answer.status != status or answer.code != code:
            self.problems.append(f"{name}, over the bound: expected {status} {code}, got {answer}")
        elif says not in answer.body.decode():
            self.problems.append(f"{name}, over the bound: does not say {says!r}: {answer}")
        elif answer.seconds > AT_ONCE:
            self.problems.append(f"{name}, over the bound: not at once: {answer}")
        elif status in (429, 503) and answer.header("Retry-After") is None:
            self.problems.append(f"{name}, over the bound: no Retry-After: {answer}")

    def path(self, path):
        return path if path.startswith("/api/") else f"/api/{self.app}{path}"
