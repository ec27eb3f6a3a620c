"""Bad input, the same on every run: JSON documents as bytes, naughty strings, numbers at the edges; and what JSON is.

Everything is written out or generated here. `verdict` says what a server must make of a body, and goes by Python's own
reader rather than by the one that is tried. `scripts/torture/corpus.py` as a program prints how much there is.
"""
import itertools
import json
import re
import zlib
from typing import NamedTuple

DEEPEST = 64  # levels of arrays and objects that the server reads
LONGEST_NUMBER = 4096  # characters
NOT_JSON, REFUSED, JSON = "not JSON", "JSON that is refused", "JSON"


class Document(NamedTuple):
    name: str
    text: bytes

    @property
    def is_large(self):
        return len(self.text) > 20_000


# MARK: what JSON is


class Duplicate(ValueError):
    pass


def _object(members):
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        raise Duplicate
    return dict(members)


def _refuse_constant(_):
    raise ValueError("NaN and Infinity are no JSON")


def depth(text):
    """The deepest nesting that a reader meets, at most; brackets in strings do not count."""
    deepest = level = 0
    for token in re.finditer(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', text, re.DOTALL):
        first = token[0][:1]
        if first in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif first in b"]}":
            level -= 1
    return deepest


def verdict(body):
    """NOT_JSON by RFC 8259, REFUSED by the contract (duplicate names, depth, lone surrogates, long numbers), or JSON."""
    if depth(body) > DEEPEST:
        return REFUSED
    try:
        text = body.decode("utf-8")
        # Numbers as texts: Python's own refuse to be as long as JSON's may be.
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_Number, parse_float=_Number
        )
        return REFUSED if any(map(_is_refused, _scalars(value))) else JSON
    except Duplicate:
        return REFUSED
    except (ValueError, RecursionError):
        return NOT_JSON


class _Number(str):
    pass


def _scalars(value):
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value


def _is_refused(value):
    if isinstance(value, _Number):
        return len(value) > LONGEST_NUMBER
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


# MARK: documents


def documents(is_quick=False):
    """All of them, with names; without the largest where it must be quick."""
    made = list(itertools.chain(
        _nested(), _truncated(), _escapes(), _bytes(), _names(), _numbers(), _syntax(), _top_level(), _large(),
    ))
    if len({document.name for document in made}) != len(made):
        raise AssertionError("two documents have one name")
    return [document for document in made if len(document.text) <= 300_000] if is_quick else made


def _nested():
    for levels in (63, 64, 65, 66, 100, 1_000, 100_000):
        yield Document(f"{levels} arrays", b"[" * levels + b"]" * levels)
        yield Document(f"{levels} arrays, open", b"[" * levels)
        yield Document(f"{levels} objects", b'{"a":' * levels + b"1" + b"}" * levels)
        yield Document(f"{levels} objects, open", b'{"a":' * levels)
        yield Document(f"{levels} of both", b'[{"a":' * (levels // 2) + b"[]" + b"}]" * (levels // 2))
    yield Document("100 arrays with space between", b"[ \n" * 100 + b"]\t " * 100)
    yield Document("100000 ends of arrays", b"]" * 100_000)
    yield Document(
        "64 objects of long names", b"".join(b'{"' + b"n" * 500 + b'":' for _ in range(64)) + b"0" + b"}" * 64
    )
    yield Document("a wide tree", b"[" + b",".join([b"[[[[[]]]]]"] * 1_000) + b"]")


_WHOLE = '{"text": "a\\u00e9\\n\U0001f600", "list": [1.5e+3, -0, true, false, null, {}, []], "o": {"k": "v"}}'.encode()


def _truncated():
    """One document, cut behind each of its bytes."""
    for end in range(1, len(_WHOLE)):
        yield Document(f"cut at {end}", _WHOLE[:end])
    yield Document("whole", _WHOLE)
    yield Document("whole and NUL", _WHOLE + b"\0")
    yield Document("whole and a brace", _WHOLE + b"}")


def _escapes():
    for escape in (
        "\\a", "\\x41", "\\0", "\\'", "\\ ", "\\\n", "\\", "\\u", "\\u1", "\\u12", "\\u123", "\\u12G4", "\\u-123",
        "\\u 123",
        "\\U00e9", "\\u{e9}", "\\v", "\\e", "\\101", "\\N{DASH}", "\\u+123", "\\uFFFG", "\\u\u0661\u0662\u0663\u0664",
    ):
        yield Document(f"the escape {escape!r}", f'{{"text": "{escape}"}}'.encode())
        yield Document(f"the escape {escape!r} in a name", f'{{"{escape}": 1}}'.encode())
    for lone in (
        "\\ud800", "\\udc00", "\\udbff", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "\\ud83dx", "\\ud83d\\n",
        "\\ud83d\\u0041",
        "x\\ude00", "\\uD800\\uDBFF", "\\ud83d\\\\ude00", "\\ud83d ", "\\ud83d\\u",
    ):
        yield Document(f"lone surrogate {lone}", f'{{"text": "{lone}"}}'.encode())
        yield Document(f"lone surrogate {lone} in a name", f'{{"{lone}": 1}}'.encode())
    for good in (
        "\\u0000", "\\u001f", "\\u007f", "\\ufffe", "\\uffff", "\\ufeff", "\\ud83d\\ude00", "\\udbff\\udfff", "\\/",
        "\\b\\f\\r\\t", "\\u2028"
    ):
        yield Document(f"escaped {good}", f'{{"text": "{good}"}}'.encode())
        yield Document(f"escaped {good} as a name", f'{{"{good}": 1}}'.encode())


_BAD_UTF8 = {
    "a lone continuation": b"\x80", "two continuations": b"\xbf\xbf", "half of two": b"\xc3",
    "half of three": b"\xe2\x82",
    "one of three": b"\xe2", "three of four": b"\xf0\x9f\x98", "two of four": b"\xf0\x9f", "one of four": b"\xf0",
    "overlong / in two": b"\xc0\xaf", "overlong A in two": b"\xc1\x81", "overlong NUL in two": b"\xc0\x80",
    "overlong quote": b"\xc0\xa2", "overlong / in three": b"\xe0\x80\xaf", "overlong NUL in three": b"\xe0\x80\x80",
    "overlong / in four": b"\xf0\x80\x80\xaf", "overlong in five": b"\xf8\x80\x80\x80\xaf",
    "overlong in six": b"\xfc\x80\x80\x80\x80\xaf",
    "a surrogate": b"\xed\xa0\x80", "a low surrogate": b"\xed\xb0\x80",
    "a pair as in CESU-8": b"\xed\xa0\xbd\xed\xb8\x80",
    "past the last scalar": b"\xf4\x90\x80\x80", "far past it": b"\xf7\xbf\xbf\xbf",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80", "FE": b"\xfe", "FF": b"\xff", "FE FF": b"\xfe\xff", "Latin-1": b"caf\xe9",
    "Windows-1252": b"\x93quoted\x94", "Shift JIS": "漢字".encode("shift_jis"), "GBK": "漢字".encode("gbk"),
    "a good and a bad": b"\xc3\xa9\xc3",
}


def _bytes():
    for name, text in _BAD_UTF8.items():
        yield Document(f"UTF-8, {name}", b'{"text": "' + text + b'"}')
        yield Document(f"UTF-8, {name}, in a name", b'{"' + text + b'": 1}')
    # Beside an escape, which takes another way through a reader than a string without one.
    for name in ("a lone continuation", "a surrogate", "overlong NUL in two", "past the last scalar", "half of two"):
        yield Document(f"UTF-8, {name}, with an escape", b'{"text": "\\n' + _BAD_UTF8[name] + b'\\t"}')
        yield Document(f"UTF-8, {name}, outside of strings", b"{" + _BAD_UTF8[name] + b"}")
    good = '{"text": "a"}'
    yield Document("BOM", b"\xef\xbb\xbf" + good.encode())
    yield Document("BOM twice", b"\xef\xbb\xbf\xef\xbb\xbf" + good.encode())
    yield Document("BOM behind", good.encode() + b"\xef\xbb\xbf")
    yield Document("BOM within", b'{\xef\xbb\xbf"text": "a"}')
    yield Document("half a BOM", b"\xef\xbb" + good.encode())
    yield Document("BOM alone", b"\xef\xbb\xbf")
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "cp037"):
        yield Document(f"in {coding}", good.encode(coding) if coding != "utf-7" else b"+AHsAIgBhACIAOg-1+AH0")
    for code in range(0x20):
        if bytes([code]) not in b"\t\n\r":
            yield Document(f"control character {code:02x} between", b'{"text"' + bytes([code]) + b': "a"}')
        yield Document(f"control character {code:02x} in a string", b'{"text": "a' + bytes([code]) + b'b"}')
    yield Document("DEL in a string", b'{"text": "a\x7fb"}')
    yield Document("NUL alone", b"\0")
    yield Document("NUL before", b"\0" + good.encode())
    yield Document("4096 NULs", b"\0" * 4096)
    for code in (0x85, 0xA0, 0x2003, 0x2028, 0x3000, 0xFEFF, 0x200B):
        yield Document(f"U+{code:04X} as space", f'{{"text":{chr(code)}"a"}}'.encode())
    for code in (0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0xFDD0, 0xE000, 0x85, 0x2028):
        yield Document(f"U+{code:04X} in a string", f'{{"text": "{chr(code)}"}}'.encode())


def _names():
    for name, text in {
        "one name twice": '{"text": "a", "text": "b"}', "one name twice, equal": '{"text": 1, "text": 1}',
        "escaped the same": '{"text": "a", "\\u0074ext": "b"}', "escaped both": '{"\\u0074ext": 1, "te\\u0078t": 2}',
        "empty name twice": '{"": 1, "": 2}', "deep duplicate": '{"o": [{"p": {"a": 1, "a": 2}}]}',
        "NUL twice": '{"\\u0000": 1, "\\u0000": 2}',
        "slash escaped the same": '{"a/b": 1, "a\\/b": 2}', "emoji escaped the same": '{"😀": 1, "\\ud83d\\ude00": 2}',
        "__proto__ twice": '{"__proto__": 1, "__proto__": 2}',
        "twice behind 20": "{" + ",".join(f'"n{i}": {i}' for i in range(20)) + ', "n3": 0}',
        "twice among 20, escaped": "{" + ",".join(f'"n{i}": {i}' for i in range(20)) + ', "\\u006e7": 0}',
        "precomposed and not": '{"\u00e9": 1, "e\u0301": 2}', "two cases": '{"text": 1, "TEXT": 2}',
        "with a space": '{"text": 1, "text ": 2}',
        "__proto__": '{"__proto__": {"admin": true}}', "constructor": '{"constructor": {"prototype": {"admin": true}}}',
        "toString": '{"toString": null, "valueOf": 1, "hasOwnProperty": 2}', "empty name": '{"": 1}',
        "null name": '{null: 1}',
        "number name": '{1: 1}', "bare name": "{text: 1}", "object name": '{{}: 1}', "no name": "{: 1}",
        "$ref": '{"$ref": "#"}',
        "$where": '{"$where": "1", "$gt": ""}', "@type": '{"@type": "java.lang.Runtime", "!!python/object": 1}',
        "_write_mode": '{"_write_mode": "all", "_delete": 1}',
        "a name of quotes": '{"\\"\\"\\"": 1}', "a name of dots": '{"a.b.c": 1, "a[0]": 2, "..": 3}',
    }.items():
        yield Document(f"names: {name}", text.encode())


_NUMBERS = [
    "+1", "01", "-01", "00", "-", "--1", "+-1", "1.", ".5", "-.5", "1.e1", "1e", "1e+", "1e-", "1E+-2", "e1", "1.2.3",
    "1,2", "1_000", "0x10", "0xFFFFFFFF",
    "0b1", "0o7", "1n", "1f", "1d", "1L", "1u", "NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf",
    "1.#INF", "1/2", "½", "1 000", "١٢٣", "１２", "²", "- 1",
    "1e1.5", "0e", "0x", "1.0f", "(1)", "1%", "$1", "0.0.", "1e0x1", "0-0", "1-1", "1+1", "Ⅷ", "1e١",
]
_GOOD_NUMBERS = [
    "-0", "0", "-0.0", "0e0", "0E+0", "0e99999", "1e400", "-1e400", "1e-400", "1E309", "1.7976931348623157e308",
    "1.7976931348623159e308", "5e-324", "2e-324",
    "1e2147483647", "1e2147483648", "1e-2147483649", "1e9223372036854775807", "1e9223372036854775808",
    "1e-9223372036854775809", "1e99999999999999999999",
    "0.1", "0.30000000000000004", "9007199254740993", "-9007199254740993", "100000000000000000000", "1" + "0" * 308,
    "1" * 309, "-" + "9" * 309, "0." + "1" * 309,
    "0." + "0" * 400 + "1", "1" * 1000, "1" * 1001, "1." + "0" * 1000, "1." + "1" * 1001, "1" * 4096, "1" * 4097,
    "9" * 100_000, "0." + "9" * 100_000, "1e" + "9" * 1000,
    "1e-" + "9" * 4000, "0e" + "9" * 50_000, "0.000001e6", "10e-1", "1.0", "1e0", "1E5", "123e-2", "1e1000", "1e1001",
    "-0e-1", "4.9406564584124654e-324", "1e" + "0" * 4000 + "1",
]


def _numbers():
    for number in _NUMBERS:
        yield Document(f"the number {number}", f'{{"n": {number}}}'.encode())
    for number in _GOOD_NUMBERS:
        short = number if len(number) < 40 else f"{number[:12]}… of {len(number)} characters"
        yield Document(f"the number {short}", f'{{"n": {number}}}'.encode())


def _syntax():
    for text in (
        '{"a": 1,}', "[1,]", "[,1]", "[1,,2]", "[,]", "{,}", '{"a": 1,,"b": 2}', '{"a"}', '{"a":}', '{"a" 1}',
        '{"a": 1 "b": 2}', '{"a"; 1}', '{"a"= 1}', '{"a":: 1}',
        "{'a': 1}", '{"a": \'b\'}', "{`a`: 1}", "{“a”: 1}", "// comment\n{}", "/* comment */ {}",
        '{"a": 1} // comment', '{"a": /* c */ 1}', "# comment\n{}",
        "<!-- c --> {}", "; c\n{}", "{} {}", "{}\n{}\n", "{}{}", "[] []", "{}, {}", "{};", "\x1e{}\n", "1 2",
        '"a" "b"', "null null", "True", "FALSE", "Null", "nil", "None", "undefined", "tru",
        "truee", "nulll", "t", "n", "f", "yes", "{", "}", "[", "]", "{]", "[}", '{"a": [}', "[{]}", '{"a": 1]',
        '["a": 1]', "{1, 2}", '{"a": "b}', '{"a: "b"}', '"', "'", '"a', 'a"', '"a"b', "\\", '\\"', "\\u0041",
        '{"a": "b\nc"}', '{"a": "b\tc"}', '{"a": tr ue}', '{"a": "b" "c"}', '{"a": "b" + "c"}', "a: 1", "a=1&b=2",
        "--- \na: 1\n", "<a>1</a>", "<?xml version='1.0'?><a/>",
        ")]}',\n{}", "while(1);{}", "callback({})", "({})", "[...]", '{"a": ...}', "{{}}", "${x}", "{{a}}", "!{}",
        "{}!", "*", "/", "@", ":", ",", ";", "%", "%7B%7D", "&#123;&#125;", "e30=",
        "PK\x03\x04", "GIF89a", "\x7fELF", "\x1f\x8b\x08", "a" * 100, "'; DROP TABLE tickets; --", "function() {}",
        "new Date()", "/re/", '["a\\', '{"a":1e', '{"a":-', "[-]", "[1 2]", "[1;2]",
        '[1,"a"', "[1,\n2\n", '{"a":{"b":{"c":[1,2,{"d":', "\u2028{}", "{}\u2029",
    ):
        yield Document(f"the text {text[:40]!r}", text.encode())
    yield Document("nothing", b"")
    for name, space in {
        "a space": b" ", "a line": b"\n", "CRLF": b"\r\n", "a tab": b"\t", "100000 spaces": b" " * 100_000,
        "a form feed": b"\f"
    }.items():
        yield Document(f"only {name}", space)
    yield Document("an object among spaces", b" \t\r\n" * 1_000 + b"{}" + b"\n" * 1_000)


def _top_level():
    for text in (
        "null", "true", "false", "0", "-1", "1.5", '""', '"text"', '"{}"', "[]", "[{}]", '[{"text": "a"}]', "[[]]",
        "[null]", "{}", '{"text": null}', '{"data": {}}', '{"data": []}'
    ):
        yield Document(f"the value {text}", text.encode())


def _large():
    mega = 1_000_000
    yield Document("a string of 1 MB", b'{"text": "' + b"x" * mega + b'"}')
    yield Document("a string of 1 MB of escapes", b'{"text": "' + b"\\u0041" * (mega // 6) + b'"}')
    yield Document("a string of 1 MB, open", b'{"text": "' + b"x" * mega)
    yield Document("a string of 1 MB of emoji", b'{"text": "' + "😀".encode() * (mega // 4) + b'"}')
    yield Document("a string of 1 MB of quotes", b'{"text": "' + b'\\"' * (mega // 2) + b'"}')
    yield Document("a string of 1 MB of combining marks", b'{"text": "e' + "\u0301".encode() * (mega // 2) + b'"}')
    yield Document("a name of 1 MB", b'{"' + b"n" * mega + b'": 1}')
    yield Document("a name of 1 MB, twice", b'{"' + b"n" * mega + b'": 1, "' + b"n" * mega + b'": 2}')
    yield Document("100000 names", b"{" + b",".join(b'"k%d": %d' % (i, i) for i in range(100_000)) + b"}")
    yield Document(
        "100000 names, the last one twice",
        b"{" + b",".join(b'"k%d": 1' % min(i, 99_998) for i in range(100_000)) + b"}"
    )
    yield Document("2000 names", b"{" + b",".join(b'"k%d": null' % i for i in range(2_000)) + b"}")
    yield Document("an array of 100000", b"[" + b",".join([b"0"] * 100_000) + b"]")
    yield Document("an array of 200000 empty objects", b'{"data": [' + b",".join([b"{}"] * 200_000) + b"]}")
    yield Document("100000 commas", b"[" + b"," * 100_000 + b"]")
    yield Document("50000 open strings", b'["' * 50_000)


# MARK: strings


_LONG_MARKS = "e" + "\u0301\u0323\u0308" * 200

_STRINGS = [
    # Empty, and what looks so.
    "", " ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u3000", "\u2028\u2029", "\u00ad", "\u180e", "null",
    "NULL", "nil", "None", "undefined", "true", "false", "NaN", "Infinity", "-Infinity", "0", "-0", "1", "1e5",
    # SQL of both stores.
    "'", "''", '"', '""', "`", ";", "--", "/*", "*/", "#", "' OR '1'='1", "' OR 1=1 --", "'; DROP TABLE tickets; --",
    '"; DROP TABLE "tickets"; --', "1; SELECT pg_sleep(10)", "' UNION SELECT * FROM _users --", "') OR ('1'='1",
    "1 OR 1=1", "admin'--", "$1", "?1", ":name", "$$", "E'\\\\x00'", "x' AND randomblob(1000000000) --",
    "'||(SELECT password FROM _users)||'", "load_extension('x')", "' COLLATE NOCASE", "%' OR title LIKE '%", "\\'",
    "\\\\", "\\", "COPY x TO PROGRAM 'id'",
    # LIKE, GLOB, JSON paths, full-text.
    "%", "_", "%%%%%%%%", "_%_%_%_", "%_\\%", "\\%", "abc\\", "*", "?", "[a-z]", "[^", "$.a.b[0]", "$[*]", "$..*",
    "{a,b}", "a->>'b'", "@> '{}'", '"a" NEAR "b"', "%" * 500, "_" * 500 + "%",
    # Formats and templates.
    "%s", "%n%n%n%n", "%x%x%x%x", "%@%@%@", "%d %p %99999999s", "{0}", "{}", "{{7*7}}", "${7*7}", "#{7*7}",
    "<%= 7*7 %>", "{{env.PATH}}", "{{env.HOME}}", "${jndi:ldap://127.0.0.1/a}", "$(id)", "`id`", "| id", "; id",
    "&& id", "\\(value)", "$0.id", "$$0.id", "$user.id", "$now", "now", "context.x", "record.id",
    # Paths, files, URLs.
    "../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "/dev/zero", "/proc/self/environ",
    "file:///etc/passwd", "C:\\con\\con", "\\\\host\\share", ".", "..", "~", "~root", "a/b", "a//b", "./a", "a\\b",
    "%2e%2e%2f", "%00", "%c0%ae", "http://127.0.0.1:9/", "http://[::1]:9/", "http://169.254.169.254/", "http://0/",
    "http://user:pass@host/", "http://", "://", "http://a b/", "http://xn--/", "javascript:alert(1)",
    "data:text/html,x", "gopher://x", "http://127.0.0.1:99999/", "http://" + "a" * 300 + "/",
    # Markup.
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<![CDATA[x]]>",
    "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;", "&lt;", "&#0;", "</script>", "\r\nSet-Cookie: a=b",
    "\r\n\r\nHTTP/1.1 200 OK\r\n", "a\nb: c", "\x1b[31mred\x1b[0m", "\x07\x08\x0c", "=1+1", "@SUM(1)", "+1", "-1+1",
    # Text.
    "ÄÖÜ ß ẞ", "İıiI", "ﬀ ﬃ", "ǅ Ǆ", "Ω Ω", "K", "Å Å", "é", "e\u0301", "\u1e9b\u0323", "한글", "\u1112\u1161\u11ab",
    "中文", "日本語", "ไทย", "हिन्दी", "עברית", "العربية", "\u202eabc\u202c", "\u2066abc\u2069", "\u200fabc\u200e",
    "a\u200db", "a\u200cb", "\u2060", "\u034f",
    "😀", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "🇩🇪", "🇩", "#️⃣", "1\u20e3", "\U000e0041\U000e007f", "\ufe0f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ʇxǝʇ",
    "Z̷a̷l̷g̷o̷", _LONG_MARKS, "\u0301", "\u0301\u0301abc", "﷽", "\U000f1234", "\ue000", "\ufffd", "\ufffe", "\uffff",
    "\U0010ffff", "\ud7ff", "ﬆ", "ꙮ", "\u0130", "\u0149", "ΐ",
    # NUL and the like.
    "\0", "a\0b", "\0\0\0\0", "a\x01b", "\x1f", "\x7f", "\x80\x9f",
    # Names that belong to somebody.
    "id", "_id", "_delete", "_write_mode", "__proto__", "constructor", "prototype", "toString", "deleted_at",
    "created_at", "data", "error", "admin", "Admin", "ADMIN", "platform_admin", "anonymous", "auth", "_admin",
    "_users", "_definitions", "_files", "_meta", "sqlite_master", "pg_class", "information_schema", "rowid", "oid",
    "ctid", "xmin", "select", "table", "user", "order", "group", "end", "default", "CON", "NUL.txt", "AUX", "COM1",
    "ticket", "every", "everything", "tickets", "Ticket", "ticket ", " ticket", "ticket\0", "tickеt", "name", "title",
    "status", "string", "uuid", "int", "eq", "read", "create", "*", "a" * 62, "a" * 63, "a" * 64, "a" * 65, "1abc",
    "-abc", "a-b", "a.b", "a b", "A", "_",
    # Keys and ids.
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "10000000-0000-0000-0000-000000000001", "10000000-0000-0000-0000-00000000000",
    "10000000-0000-0000-0000-0000000000011", "1000000000000000000000000000000g",
    "{10000000-0000-0000-0000-000000000001}", "urn:uuid:10000000-0000-0000-0000-000000000001",
    "10000000000000000000000000000001", "10000000-0000-0000-0000-00000000000\u0661",
    "20000000-0000-0000-0000-000000000001", "0199", "-1", "9223372036854775808",
    # Dates that are and are not.
    "2026-02-30", "2026-02-29", "2024-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-1-1",
    "0000-01-01", "-0001-01-01", "10000-01-01", "9999-12-31", "0001-01-01", "2026-01-01T24:00:00Z",
    "2026-01-01T23:59:60Z", "2026-06-30T23:59:60Z", "2026-01-01T25:00:00Z", "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00-23:59",
    "2026-01-01T00:00:00.1234567890123Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59",
    "2026-01-01t00:00:00z", "2026-W01-1", "20260101", "01/02/2026", "1767225600", "infinity", "-infinity", "epoch",
    "now()", "today", "294277-01-01T00:00:00Z", "4714-11-24 BC", "٢٠٢٦-٠١-٠١",
    # E-mails, passwords, tokens.
    "a@b", "a@b@c", "@", "a@", "@b", "a b@c", "<a@b>", "a@b\r\nBcc: c@d", "admin@localhost", " ADMIN@LOCALHOST ",
    "platform@localhost", "changeme", "x" * 72, "x" * 73, "é" * 36 + "x", "eyJhbGciOiJub25lIn0.e30.", "whsec_",
    "whsec_AAAA", "generate", "********",
    # Regular expressions that hang others.
    "(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){30}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:a{1000}){1000}",
    "((((((((((a{10}){10}){10}){10}){10}){10}){10})", "[", "(", "*", "a{2,1}", "(?=a)", "(?<=a)b", "\\1",
    "(?P<n>a)(?P=n)", "(?R)", "\\p{Greek}", "[[:alpha:]]", "a" * 5000 + "!", "(?i)" * 100, "(" * 1000 + ")" * 1000,
    "x{0,1000}" * 50, "[\\d-\\w]", "\\C",
    # Expressions.
    "record.title == 'x'", "true", "1 == 1", "record.", "record.title.length > 5", "record['title']", "a => a",
    "(() => 1)()", "record.constructor", "record.__proto__", "this", "process.exit()", "while(1){}", "1/0", "0/0",
    "2**99999", "'a'.repeat(1e9)", "[1,2,3].map(x => [1,2,3].map(y => x))", "((((((((((1))))))))))",
    "(" * 199 + "1" + ")" * 199, "(" * 5000 + "1", "!" * 5000 + "true", "-" * 5000 + "1", "[" * 5000, "`${" * 300,
    "1+" * 5000 + "1", "a?" * 2000, "a.b" * 3000, "record.title.replace(/(a+)+$/, 'x')", "/(/", "'unterminated",
    "\"\\u{110000}\"", "0x", "1e999", "user.roles.includes('admin')", "len(record.title)", "x" * 16_385,
    "'" + "x" * 16_000 + "'", "matches(record.title, '(a+)+$')", "now + days(1e300)", "new Date(1e300)",
    "new Date('x').toISOString()", "round(1, 1e9)", "'a'.padStart(1e9)", "[...'a']", "{...record}", "typeof record",
    "record in record", "null?.a.b.c", "related.x", "🙂", "record.title\u200b", "rеcord.title",
    # Times.
    "10s", "0s", "-1s", "1e3s", "99999999999999999999d", "1.5h", "s", "10", "10 s", "9223372036854775807s",
    "* * * * *", "60 * * * *", "*/0 * * * *", "0 0 31 2 *", "0 0 * * 8", "@daily", "* * * * * *", "1-", "9-1 * * * *",
    # Long.
    "x" * 255, "x" * 256, "x" * 2_700, "x" * 10_000, "😀" * 5_000, "x" * 100_000, " " * 10_000, "\n" * 1_000,
    "a," * 5_000, "." * 1_000, "'" * 10_000,
]


def strings(is_quick=False):
    """Naughty strings, each once."""
    unique = list(dict.fromkeys(_STRINGS))
    return [text for text in unique if len(text) <= 10_000] if is_quick else unique


# MARK: numbers


def numbers():
    """Numbers as JSON writes them, each once: the edges of every type of field, page, priority and precision."""
    edges = []
    for bits in (7, 8, 15, 16, 31, 32, 53, 63, 64, 127, 128):
        edges += [2**bits - 1, 2**bits, 2**bits + 1, -(2**bits) + 1, -(2**bits), -(2**bits) - 1]
    edges += [0, 1, -1, 2, 99, 100, 101, 1_000_000, 1_000_001, -1_000_001, 10**17, 10**18, 10**18 + 1, 10**19, 10**36]
    texts = [str(edge) for edge in edges]
    texts += [number for number in _GOOD_NUMBERS if len(number) <= 5_000]
    texts += [
        "1.5", "-1.5", "0.1", "2147483647.0", "2147483647.5", "2147483648.0", "1e9", "1e10", "2.147483647e9",
        "9223372036854775807.0", "9.223372036854775807e18", "1.005", "1.10", "100e-2", "0.12", "0.123",
        "0.1234", "999999999999999999.99", "9999999999999999999.99", "123456789012345678.123", "3.4028235e38",
        "3.5e38", "1e-7", "123456.789e3", "-0.000", "1" + "0" * 17 + ".99", "0." + "0" * 99 + "1",
        "0." + "0" * 999 + "1", "9" * 999 + ".9",
    ]
    return list(dict.fromkeys(texts))


def values(is_quick=False):
    """JSON values of all kinds, as texts: what may stand where another value is due."""
    made = [json.dumps(text).encode() for text in strings(is_quick)] + [number.encode() for number in numbers()]
    made += [
        b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b"[null]", b"[{}]", b'[""]', b'{"":""}', b'{"a":1}',
        b"[1,2,3]", b'["a","a"]', b'{"data":[]}', b'{"data":{}}', b'{"id":null}', b'{"_delete":true}',
        b'{"_write_mode":"replace","data":[]}', b'{"_write_mode":1,"data":[]}', b'{"_write_mode":"diff"}',
        b'{"expression":"1"}', b'{"expression":1}', b'{"goto":"end"}', b'{"goto":{"goto":"end"}}', b'{"type":"role"}',
        b'{"__proto__":1}',
        b"[" * 30 + b"]" * 30, b'{"a":' * 30 + b"1" + b"}" * 30, b"[" + b",".join([b"1"] * 2_000) + b"]",
        b"[" + b",".join([b"{}"] * 300) + b"]", b'["' + b'","'.join([b"admin"] * 200) + b'"]',
        b"{" + b",".join(b'"f%d":%d' % (i, i) for i in range(500)) + b"}",
        b'{"id":"10000000-0000-0000-0000-000000000001"}',
        b'[{"id":"10000000-0000-0000-0000-000000000001"},{"id":"10000000-0000-0000-0000-000000000001"}]',
    ]
    return list(dict.fromkeys(made))


def pick(items, count, key):
    """So many of them, evenly, beginning elsewhere for each key: together the keys see all."""
    if count >= len(items):
        return list(items)
    offset = zlib.crc32(key.encode())
    return [items[(offset + number * len(items) // count) % len(items)] for number in range(count)]


if __name__ == "__main__":
    everything = documents()
    counts = {
        word: sum(verdict(document.text) == word for document in everything) for word in (NOT_JSON, REFUSED, JSON)
    }
    print(
        f"{len(everything)} documents {counts}, {len(strings())} strings, {len(numbers())} numbers, {len(values())} values"
    )
