"""Requests that tell two lengths, or none that can be, with another request hidden in what may be their body."""
from probes import ANYTHING, REFUSED, TAKEN, UNSURE, UNSURE_TOLD, creating, smuggled
from wire import head


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
    yield "length, then chunked", creating(judge, length(b"5") + coding(b"chunked"), b"0\r\n\r\n" + hidden), UNSURE
    yield "chunked, then length", creating(judge, coding(b"chunked") + length(b"5"), b"0\r\n\r\n" + hidden), UNSURE
    yield "length of all and chunked", creating(
        judge, length(str(len(chunked)).encode()) + coding(b"chunked"), chunked
    ), UNSURE
    yield "length 0 and chunked", creating(judge, length(b"0") + coding(b"chunked"), chunked), UNSURE
    for name, text in {
        "empty": b"", "of a space": b" ", "of a tab": b"\t", "of many spaces": b" " * 500,
    }.items():
        yield f"coding {name}, then a length, a body and more", creating(
            judge, coding(text) + length(size), body + hidden
        ), UNSURE_TOLD
        yield f"a length, then coding {name}, a body and more", creating(
            judge, length(size) + coding(text), body + hidden
        ), UNSURE  # in this order the parser refuses it itself
        yield f"coding {name} and length 0", creating(judge, coding(text) + length(b"0"), hidden), UNSURE_TOLD
        yield f"coding {name} and a length, HTTP/1.0", creating(
            judge, coding(text) + length(size), body + hidden, b"HTTP/1.0"
        ), UNSURE_TOLD
        yield f"GET with coding {name} and a length", head("GET", b"/health", [
            (b"Host", b"localhost"), (b"Transfer-Encoding", text), (b"Content-Length", size)
        ]) + body + hidden, UNSURE_TOLD
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
        yield f"coding {name} and a length", creating(
            judge, coding(text) + length(size), body + hidden
        ), UNSURE if text else UNSURE_TOLD
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
