"""Parameters that a route does not know, at every route; and every value in those that it does."""
import re

import corpus
from app import TYPES
from corpus import pick
from routes import caller_of
from wire import quote

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
    target, body = stage.target(route), stage.right_body(route)
    answer = judge.ask(route, position, repr(query)[:100], target + b"?" + query, body, caller_of(route), must=must)
    stage.clean_up(route, answer, target)
    return answer
