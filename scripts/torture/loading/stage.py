"""A server with a configuration and apps, for one part."""
import itertools
import os
import random
import uuid

from kill9 import Client, RoundFailure, Server
from kill9_webhooks import management_url
from loading.figures import Reading, Spread
from loading.wire import Wire
from outage import Postgres

UUID_KEY = {"field": "id", "type": "uuid", "generated": True}


def entity(name, fields, **more):
    """Fields are `{name: type}`, or `{name: {…}}` where there is more to say."""
    described = [{"name": each} | ({"type": kind} if isinstance(kind, str) else kind) for each, kind in fields.items()]
    return {
        "name": name, "table": f"{name}s", "primary_key": UUID_KEY, "soft_delete": False,
        "fields": [{"name": "id", "type": "uuid"}, *described],
    } | more


ITEM = entity("item", {"value": {"type": "string", "required": True}, "note": "text", "number": "int"})
SLOW = entity("slow", {"value": {"type": "string", "required": True}})
PART_OF = entity("part", {"item_id": "uuid", "value": "string"})
PARTS = {
    "name": "parts", "type": "one_to_many", "source": "item", "target": "part", "source_key": "id",
    "target_key": "item_id", "on_delete": "cascade",
}


class Stage:
    """A server with a configuration, and what the parts do with it."""

    def __init__(self, options, directory, part, settings=None):
        self.options, self.store, self.directory = options, options.store, directory / part
        self.directory.mkdir()
        self.name = f"load_{os.getpid()}_{part}"
        self.url = management_url(options.url if options.store == "postgres" else None, self.name)
        configure(self.directory, settings or {})
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            self.server.kill()

    def start(self):
        self.server = Server(self.options.rocket, self.directory, 0, self.url)
        self.port, self.pid = self.server.port, self.server.process.pid
        self.token = self.server.sign_in()

    @property
    def admin(self):
        """A connection with a fresh token: one lasts for a quarter of an hour."""
        self.token = self.server.sign_in()
        return Client(self.port, self.token)

    def app(self, suffix=""):
        return f"{self.name}{suffix}"

    def make_app(self, suffix="", rows=None, **definitions):
        app, admin = self.app(suffix), self.admin
        admin.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
        admin.call("POST", f"/api/{app}/_admin/import", {"version": 1} | definitions)
        for name, batch in rows or []:
            admin.call("POST", f"/api/{app}/_admin/import", {"version": 1, "sample_data": {name: batch}})
        return app

    @property
    def reading(self):
        return Reading.of(self.pid)

    def must_live(self):
        if self.server.process.poll() is not None:
            raise RoundFailure(f"the server ended with {self.server.process.returncode}: {self.server.last_words()}")

    def psql(self, statement, database="postgres"):
        return Postgres(self.options.url, "/nowhere").psql(statement, database)


def configure(directory, settings):
    """The file that the server finds in its folder."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {each}" for key, each in value.items())]
        else:
            lines.append(f"{name}: {value}")
    (directory / "app.yaml").write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")


def some_rows(count, seed, length=200):
    draw = random.Random(seed)
    text = "".join(draw.choices("abcdefgh ", k=length * 50))

    def note():
        start = draw.randrange(len(text) - length)
        return text[start : start + length]

    return [
        {"id": str(uuid.UUID(int=draw.getrandbits(128), version=4)), "value": f"{number}", "number": number,
         "note": note()} for number in range(count)
    ]


def stored(client, app, name, most=10**9):
    """All rows of an entity."""
    rows = []
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{app}/{name}?per_page=100&count=none&page={page}")
        rows += answer["data"]
        if not answer["data"] or len(rows) >= most:
            return rows


async def quick_requests(stage, app, rows, count=300):
    wire = await Wire.connect(stage.port, stage.token)
    times = []
    for number in range(count):
        if number % 3:
            answer = await wire.ask("GET", f"/api/{app}/item/{rows[number]['id']}")
        else:
            answer = await wire.ask("PUT", f"/api/{app}/item/{rows[number]['id']}", {"number": number + 1})
        if answer.status != 200:
            raise RoundFailure(f"a request of one client alone: {answer}")
        times.append(answer.seconds)
    wire.close()
    return Spread(times)
