"""Every header that the server reads, with what it must not fall for, on requests that are right otherwise."""
import re
import zlib

import corpus
from corpus import pick
from routes import caller_of

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
    b"Connection": [
        b"", b"keep-alive", b"upgrade", b"close, keep-alive", b"keep-alive, close", b"Close", b"Authorization", b"x"
    ],
    b"Upgrade": [b"h2c", b"websocket", b"x" * 1_000], b"TE": [b"trailers", b"chunked", b"x"],
    b"Content-Disposition": [b"", b"form-data; name=\"file\"", b"x" * 5_000],
    b"Cookie": [b"", b"a=b; " * 1_000, b"\xff"],
    b"Forwarded": [b"for=127.0.0.1", b"for=\"[::1", b";;;"], b"X-HTTP-Method-Override": [b"DELETE", b"x"],
    b"X-Original-URL": [b"/metrics", b"x"], b"User-Agent": [b"", b"() { :; }; id", b"x" * 8_000],
    b"Referer": [b"", b"x"], b"Content-Length-X": [b"1"], b"Date": [b"x"], b"Via": [b"x" * 100],
}


def header_texts(is_quick):
    texts = [text.encode() for text in corpus.strings(is_quick) if not re.search(r"[\0-\x1f\x7f]", text)]
    return [
        text for text in dict.fromkeys(text.strip(b" \t") for text in texts) if len(text) < 8_000
    ] + [b"\xff\xfe", b"caf\xe9", b"\x80"]


def try_headers(judge, stage, tried, share):
    """Every header that the server reads, at every route, as a right request otherwise."""
    texts = header_texts(share < 1)
    for route in tried:
        is_open = route.statuses["bad"] not in (401, 403, 404)
        for name, special in pick(list(HEADERS.items()), len(HEADERS) if share == 1 else 4, str(route)):
            some = pick(special, 1 if share < 1 else 2, f"{route} {name}")
            if share == 1 or zlib.crc32(f"{route}{name}".encode()) % 6 == 0:
                some += pick(texts, 1, f"{route} {name} t")
            for value in some:
                target, body = stage.target(route), stage.right_body(route)
                must = "be refused" if must_refuse_header(route, name, value, is_open) else None
                answer = judge.ask(
                    route, f"header {name.decode()}", repr(value)[:80], target, body, caller_of(route),
                    [(name, value)], must
                )
                stage.clean_up(route, answer, target)
    stage.sweep()


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
