"""How each route is called rightly: its path with names of what is there, its body, and what is taken back after."""
import json
import time

from app import APP, DEFINITIONS
from kill9 import RoundFailure
from right_bodies import RightBodies
from routes import ADMIN, PLATFORM, ROOT, Route
from wire import head, multipart, quote


class Stage(RightBodies):
    """The help desk with the app beside it, and what requests to each route need to be right."""

    def __init__(self, judge, receiver):
        super().__init__()
        self.judge = judge
        judge.sign_in()
        for name in (APP, "elsewhere"):
            # A database of its own, for which PostgreSQL copies its template and waits for the disk.
            judge.must("POST", "/api/_platform/apps", {"name": name}, PLATFORM, patience=20)
        helpdesk = json.loads((ROOT / "Sources/rocket/Resources/helpdesk.json").read_text(encoding="utf-8"))
        for webhook in helpdesk["webhooks"]:
            webhook["url"] = receiver.url("/hook")
        judge.sign_in()
        judge.must("POST", f"/api/{APP}/_admin/import", helpdesk)
        judge.must("POST", f"/api/{APP}/_admin/import", DEFINITIONS)
        for email in ("agent@x.example", "slow@x.example"):
            judge.must(
                "POST", f"/api/{APP}/_admin/users", {"email": email, "password": "password1", "roles": ["agent"]}
            )
        judge.sign_in()
        self.file = self.upload()
        self.tag = judge.must("POST", f"/api/{APP}/tag", {"label": "kept"})["id"]
        self.definitions = judge.must("GET", f"/api/{APP}/_admin/export")
        judge.must(
            "POST", f"/api/{APP}/ticket",
            {"title": "A ticket", "description": "x", "customer_id": "10000000-0000-0000-0000-000000000001"}
        )

    def open_rows(self, rows):
        self.judge.rows = rows
        self.judge.note_rows()

    def upload(self):
        judge, form = self.judge, multipart([(b'form-data; name="file"; filename="a.txt"', b"hello")])
        headers = judge.fill(ADMIN, [], form, [(b"Content-Type", b"multipart/form-data; boundary=xyz")])
        answer = judge.wire.ask(head("POST", f"/api/{APP}/_files/upload".encode(), headers) + form)
        if judge.rows:
            judge.note_rows()
        if answer.status != 201:
            raise RoundFailure(f"upload: {answer.status} {answer.body[:300]!r}")
        return answer.json()["data"]["id"]

    # MARK: paths

    def target(self, route, **given):
        """The path of a route with names of what is there; `given` stands for parts, as bytes that are encoded."""
        path = b""
        for place, part in enumerate(route.path.split("/")[1:], 1):
            if part.startswith(":"):
                value = given.get(part[1:])
                text = value if value is not None else quote(self.part(route, part, place))
            else:
                text = part.encode()
            path += b"/" + text
        return path

    def part(self, route, part, place):
        simple = {":app": APP, ":entity": "every", ":email": "admin@localhost", ":event": "ask"}
        if part in simple:
            return simple[part]
        return self.thing("/".join(route.path.split("/")[:place]), route)

    def thing(self, collection, route):
        """The id or name of one of a collection, which is made where there is none."""
        collection = collection.replace(":app", APP).replace(":entity", "every")
        if collection == "/api/_platform/apps":
            return "elsewhere" if route.method == "GET" else "ghost"
        if collection.endswith("/_files"):
            return self.file
        if collection.endswith("/webhook-logs"):
            return self.log()
        if collection.endswith("/_workflows"):
            return self.instance()
        if route.path.endswith("/restore"):
            # One of its own, which is deleted whenever somebody wants to bring it back.
            if "restore" not in self.things:
                self.things["restore"] = self.judge.must("POST", collection, self.record())["id"]
            self.judge.tidy("DELETE", f"{collection}/{self.things['restore']}")
            return self.things["restore"]
        if collection not in self.things:
            wanted = Route("POST", collection.replace(f"/{APP}", "/:app", 1).replace("/every", "/:entity"), {})
            role = PLATFORM if collection.startswith("/api/_platform") else ADMIN
            body = self.bodies(wanted)[0] | ({"field": "state"} if collection.endswith("/state-machines") else {})
            made = self.judge.must("POST", collection, body, role)
            self.things[collection] = made["name"] if collection.endswith(("/entities", "/relations")) else made["id"]
            self.made += 1  # its name is taken now
        return self.things[collection]

    def log(self):
        if "log" not in self.things:
            logs = self.judge.must("GET", f"/api/{APP}/_admin/webhook-logs?per_page=1")
            if not logs:
                raise RoundFailure("the ticket has called no webhook")
            self.things["log"] = logs[0]["id"]
        return self.things["log"]

    def instance(self):
        if "instance" not in self.things:
            self.judge.must("POST", f"/api/{APP}/_events/ask", {"note": "x"})
            until = time.monotonic() + 5
            while not (waiting := self.judge.must("GET", f"/api/{APP}/_workflows/pending")):
                if time.monotonic() > until:
                    raise RoundFailure("the workflow did not start in 5 s")
                time.sleep(0.02)
            self.things["instance"] = waiting[0]["id"]
        return self.things["instance"]

    # MARK: afterwards

    def clean_up(self, route, answer, target):
        """Takes back what an accepted request has made or changed, so that the next one meets the same."""
        if not 200 <= answer.status < 300:
            return
        judge, role = self.judge, PLATFORM if "/_platform/" in route.path else ADMIN
        path = target.decode("latin-1").split("?")[0]
        if "location" in answer.headers:
            has_parts = "/_admin/" in path and not path.endswith(("/users", "/invites"))
            query = "?cascade=true" if has_parts else "?purge=true" if route.is_of_records else ""
            judge.tidy("DELETE", answer.headers["location"] + query, role=role)
            self.made += route.path.endswith(("/entities", "/relations"))
        elif path.endswith(("/invites", "/invites/bulk")) and route.method == "POST":
            made = answer.json()["data"]
            for invite in made if isinstance(made, list) else [made]:
                judge.tidy("DELETE", f"/api/{APP}/_admin/invites/{invite['id']}")
        elif path.endswith("/import"):
            judge.must("POST", f"/api/{APP}/_admin/import?mode=apply", self.definitions)
            self.made += 1
            # The import may be of what stood here.
            self.things = {name: thing for name, thing in self.things.items() if "/_admin/" not in name}
        elif route.method in ("PUT", "DELETE"):
            self.forget(route, path)
        elif "/_workflows/" in path:
            self.things.pop("instance", None)
        elif route.path.endswith("/retry"):
            self.things.pop("log", None)
        elif route.path.endswith("/_batch"):
            self.sweep(("part",))

    def forget(self, route, path):
        collection = path.rsplit("/", 1)[0]
        name = self.things.pop(collection, None)
        if "/_workflows/" in path:
            self.things.pop("instance", None)
        if "/_files/" in path:
            self.file = self.upload()
        if name and route.method == "PUT":
            role = PLATFORM if "/_platform/" in path else ADMIN
            query = "?purge=true" if "/every/" in path else ""
            if "/_admin/" in path and "users" not in path:
                query = "?cascade=true"
            renamed = path.rsplit("/", 1)[1]
            self.judge.tidy("DELETE", f"{collection}/{renamed}{query}", role=role)
            self.made += collection.endswith(("/entities", "/relations"))

    def sweep(self, entities=("every", "part", "single", "tag", "victim")):
        """Takes out the rows that accepted requests have left."""
        kept = {self.tag, *self.things.values()}
        for name in entities:
            while True:
                rows = self.judge.must(
                    "GET",
                    f"/api/{APP}/{name}?per_page=100&fields=id&count=none{'&deleted=with' if name == 'every' else ''}"
                )
                ids = [row["id"] for row in rows if row["id"] not in kept]
                for id in ids:
                    self.judge.tidy("DELETE", f"/api/{APP}/{name}/{id}{'?purge=true' if name == 'every' else ''}")
                if len(ids) < 50:
                    break
