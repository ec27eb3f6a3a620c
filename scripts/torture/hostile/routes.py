"""The routes, and who may call them: what stands in the access matrix of the server's own tests."""
import pathlib
from typing import NamedTuple

from kill9 import RoundFailure

ROOT = pathlib.Path(__file__).resolve().parents[3]
ADMIN, USER, ANONYMOUS, PLATFORM = "admin", "user", "anonymous", "platform"
SLOW = "slow"  # who uploads slowly, for a user may upload a few files at once


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


def caller_of(route):
    return PLATFORM if "/_platform/" in route.path or route.path == "/metrics" else ADMIN
