"""Bounds of uploads: of one, of a day, and of many at once."""
import asyncio

from loading.both_sides import BOUNDS
from loading.wire import Wire, close_all


def form(size):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    return head + b"t" * size + b"\r\n--b--\r\n"


FORM = ["Content-Type: multipart/form-data; boundary=b"]


async def files(bounds):
    most, day = BOUNDS["files"]["max_bytes"], BOUNDS["files"]["max_bytes_per_day"]
    person = {"email": "uploader@b.example", "password": "p" * 12, "roles": ["clerk"]}
    await bounds.under("user", "POST", "/_admin/users", person)
    admin = bounds.wire
    words = {"email": person["email"], "password": person["password"]}
    signed = await admin.ask("POST", bounds.path("/auth/login"), words)
    bounds.wire = await Wire.connect(bounds.stage.port, signed.data["access_token"])
    upload = ("POST", "/_files/upload")
    await bounds.under("file", *upload, form(most), FORM)
    await bounds.over("file", 413, "PAYLOAD_TOO_LARGE", f"{most}", *upload, form(most + 1), FORM)
    await bounds.under("file", *upload, form(most), FORM)
    answer = await bounds.wire.ask("POST", bounds.path("/_files/upload"), form(day - 2 * most + 1), FORM)
    bounds.judge("uploads of a day", answer, 429, "RATE_LIMITED", f"{day}")
    await many_uploads(bounds, signed.data["access_token"])
    bounds.wire = admin


async def many_uploads(bounds, token):
    """Eight of one user at once, none of which ends; the ninth is refused, and served when they have gone."""
    wires = [await Wire.connect(bounds.stage.port, token) for _ in range(8)]
    whole = form(10)
    head = (
        f"POST {bounds.path('/_files/upload')} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"{FORM[0]}\r\nContent-Length: {len(whole)}\r\n\r\n"
    ).encode()
    for wire in wires:
        wire.transport.write(head + whole[:-5])
    await asyncio.sleep(0.5)
    ninth = await newcomer_upload(bounds, token)
    bounds.judge("uploads at once", ninth, 429, "RATE_LIMITED", "8")
    close_all(wires)
    await asyncio.sleep(0.5)
    after = await newcomer_upload(bounds, token)
    if after.status != 201:
        bounds.problems.append(f"an upload after eight that were broken off: {after}")


async def newcomer_upload(bounds, token):
    wire = await Wire.connect(bounds.stage.port, token)
    answer = await wire.ask("POST", bounds.path("/_files/upload"), form(10), FORM)
    wire.close()
    return answer
