"""Uploads: forms that are none, and names and contents of files that are odd, as they come back."""
import re

import corpus
from corpus import pick
from judge import judge_caller
from routes import ADMIN, ANONYMOUS, USER
from wire import head, multipart


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
