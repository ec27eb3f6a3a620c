"""Every string in every part of every path, paths that are none, and methods that nobody has."""
import zlib

import corpus
from app import APP
from corpus import pick
from judge import judge_caller
from routes import ANONYMOUS, USER, Route, caller_of
from wire import quote

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
                target, body = stage.target(route, **{part[1:]: quote(text)}), stage.right_body(route)
                is_twelfth = zlib.crc32(f"{route} {part} {text}".encode()) % 12 == 0
                for role in (caller_of(route), *((USER, ANONYMOUS) if is_twelfth else ())):
                    answer = judge.ask(route, f"path {part}", repr(text)[:80], target, body, role)
                    judge_caller(judge, route, role, answer, f"path {text[:80]!r}")
                    if role == caller_of(route) and "_events" not in route.path:
                        stage.clean_up(route, answer, target)
        for raw in pick(RAW_PATHS, max(2, int(len(RAW_PATHS) * share)), str(route)):
            whole = stage.target(route)
            answer = judge.ask(
                route, "path raw", repr(raw)[:80], raw_path(whole, raw), stage.right_body(route), caller_of(route)
            )
            if answer.status < 300 and route.method == "DELETE":
                stage.clean_up(route, answer, whole)
    for method in ("OPTIONS", "TRACE", "PROPFIND", "get", "X" * 500, "HEAD", "PURGE", "LINK"):
        for path in (b"/health", f"/api/{APP}/every".encode(), b"/nothing", b"/"):
            judge.ask(Route(method, path.decode(), {}), "method", method[:40], path)
