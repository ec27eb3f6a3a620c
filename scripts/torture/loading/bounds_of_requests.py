"""Bounds of bodies, of queries and of batches."""
import json
import urllib.parse

from loading.both_sides import AT_ONCE, BOUNDS


def of_size(size):
    """A body of so many bytes."""
    empty = json.dumps({"value": ""}).encode()
    return json.dumps({"value": "v" * (size - len(empty))}).encode()


async def bodies(bounds):
    most = BOUNDS["server"]["max_body_bytes"]
    large = ("PAYLOAD_TOO_LARGE", f"{most}")
    await bounds.under("body", "POST", "/wide", of_size(most))
    await bounds.over("body", 413, *large, "POST", "/wide", of_size(most + 1))
    deep = lambda levels: ("[" * levels + "]" * levels).encode()  # noqa: E731
    await bounds.under("depth", "POST", "/wide", b'{"extra":' + deep(63) + b"}")
    await bounds.over("depth", 400, "INVALID_PAYLOAD", "64", "POST", "/wide", b'{"extra":' + deep(64) + b"}")
    await bounds.under("digits", "POST", "/wide", b'{"exact":' + b"9" * 1_000 + b"}")
    await bounds.over("digits", 422, "VALIDATION_FAILED", "1000", "POST", "/wide", b'{"exact":' + b"9" * 1_001 + b"}")
    await bounds.over("number", 400, "INVALID_PAYLOAD", "4096", "POST", "/wide", b'{"exact":' + b"9" * 4_097 + b"}")
    key = lambda length: [f"Idempotency-Key: {'k' * length}"]  # noqa: E731
    await bounds.under("key", "POST", "/wide", {"value": "x"}, key(255))
    answer = await bounds.wire.ask("POST", bounds.path("/wide"), {"value": "x"}, key(256))
    if answer.status not in (400, 422) or b"255" not in answer.body:
        bounds.problems.append(f"key of 256: {answer}")


async def queries(bounds):
    def filters(count):
        return "&".join(f"filter%5Bvalue.neq%5D={number}" for number in range(count))

    fields = ["value", "note", "number", "id"]
    bad = "INVALID_PARAMETER"
    await bounds.under("filters", "GET", f"/item?{filters(50)}")
    await bounds.over("filters", 400, bad, "50", "GET", f"/item?{filters(51)}")
    await bounds.over("parameters", 400, bad, "200", "GET", f"/item?{filters(201)}")
    await bounds.under("sort keys", "GET", f"/item?sort={','.join(fields)}")
    await bounds.over("sort keys", 400, bad, "8", "GET", f"/item?sort={','.join(f'f{number}' for number in range(9))}")
    page = await bounds.under("page size", "GET", "/item?per_page=100")
    more = await bounds.under("page size over 100", "GET", "/item?per_page=101")
    for answer in (page, more):
        if json.loads(answer.body)["meta"]["per_page"] != 100:
            bounds.problems.append(f"page size: {answer}")
    await bounds.over("page size", 400, bad, "per_page", "GET", "/item?per_page=0")
    await bounds.under("pattern", "GET", f"/item?filter%5Bvalue.like%5D={'a' * 1_000}")
    await bounds.over("pattern", 400, bad, "1000", "GET", f"/item?filter%5Bvalue.like%5D={'a' * 1_001}")
    await bounds.over("includes", 400, bad, "50", "GET", f"/node?include={','.join(f'way{n}' for n in range(51))}")
    condition = lambda length: urllib.parse.quote("number == 1".ljust(length))  # noqa: E731
    await bounds.under("includes", "GET", f"/node?include={','.join(f'way{n}' for n in range(50))}")
    await bounds.under("where", "GET", f"/item?where={condition(4_000)}")
    await bounds.over("where", 400, bad, "16", "GET", f"/item?where={condition(16_385)}")


async def batches(bounds):
    def operations(count):
        return {"operations": [{"method": "POST", "path": "/wide", "body": {"value": "b"}}] * count}

    def family(count):
        return {"value": "parent", "parts": [{}] * count}

    await bounds.under("batch", "POST", "/_batch", operations(100), status=200)
    before = await bounds.under("rows", "GET", "/wide?per_page=1")
    answer = await bounds.wire.ask("POST", bounds.path("/_batch"), operations(101))
    if answer.status not in (400, 413, 422) or b"100" not in answer.body or answer.seconds > AT_ONCE:
        bounds.problems.append(f"batch of 101: {answer}")
    after = await bounds.under("rows", "GET", "/wide?per_page=1")
    if json.loads(before.body)["meta"]["total"] != json.loads(after.body)["meta"]["total"]:
        bounds.problems.append("a batch that was refused has made rows")
    await bounds.under("rows of a request", "POST", "/item", family(9_999))
    rows = ("PAYLOAD_TOO_LARGE", "10000")
    await bounds.over("rows of a request", 413, *rows, "POST", "/item", family(10_000))
    parent = (await bounds.under("rows", "POST", "/item", family(9_000))).data["id"]
    for _ in range(2):
        append = {"parts": {"_write_mode": "append", "data": [{}] * 5_500}}
        await bounds.under("rows", "PUT", f"/item/{parent}", append)
    included = bounds.path(f"/item/{parent}?include=parts")
    answer = await bounds.wire.ask("GET", included)
    if answer.status != 200:
        bounds.problems.append(f"an include of 20,000 rows: {str(answer)[:200]}")
    await bounds.under("rows", "PUT", f"/item/{parent}", {"parts": {"_write_mode": "append", "data": [{}]}})
    await bounds.over("include", 400, "INVALID_PARAMETER", "20000", "GET", included)
