"""Heads of requests that are none, that name no host or two, that are of other protocols, or very much of one."""
from probes import ANYTHING, REFUSED, TAKEN, UNSURE_TOLD, creating, smuggled


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
    yield "version 1.0 and a body", creating(
        judge, b"Content-Length: 19\r\n", b'{"label": "framed"}', b"HTTP/1.0"
    ), TAKEN
    yield "version 1.0, kept alive", get(
        b"GET /health HTTP/1.0", b"Host: localhost\r\nConnection: keep-alive\r\n"
    ), TAKEN
    yield "version 1.0, kept alive, and more behind", get(
        b"GET /health HTTP/1.0", b"Connection: keep-alive\r\n"
    ) + smuggled(judge, "smuggled"), TAKEN
    yield "version 1.0 of an unknown path", get(b"GET /nothing HTTP/1.0", b""), REFUSED
    localhost = b"Host: localhost\r\n"
    unsure = {
        "no Host": b"", "two Hosts": localhost + b"Host: evil.example\r\n", "two equal Hosts": localhost * 2,
        "three Hosts": localhost * 3, "a Host and an empty one": localhost + b"Host:\r\n",
        "an empty Host and one": b"Host:\r\n" + localhost, "two empty Hosts": b"Host:\r\n" * 2,
        "two Hosts far apart": localhost + b"X: y\r\n" * 20 + b"hOST: evil.example\r\n",
        "no Host but others' headers": b"X-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n",
    }
    for name, hosts in unsure.items():
        behind = smuggled(judge, "smuggled")
        yield name, get(b"GET /health HTTP/1.1", hosts) + behind, UNSURE_TOLD
        yield f"{name} at an unknown path", get(b"GET /nothing HTTP/1.1", hosts) + behind, UNSURE_TOLD
        yield f"{name}, absolute form", get(b"GET http://localhost/health HTTP/1.1", hosts) + behind, UNSURE_TOLD
        yield f"{name} at a create", creating(
            judge, b"Content-Length: 19\r\n", b'{"label": "framed"}' + behind
        ).replace(localhost, hosts, 1), UNSURE_TOLD
        if hosts and name != "no Host but others' headers":
            yield f"{name}, version 1.0", get(b"GET /health HTTP/1.0", hosts) + behind, UNSURE_TOLD
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
