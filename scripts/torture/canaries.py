#!/usr/bin/env python3
"""Gives a server secrets that stand nowhere else, works with it, and looks for them wherever they must not be.

    scripts/torture/canaries.py [ROCKET]
    scripts/with_postgres.sh scripts/torture/canaries.py [ROCKET] --store postgres

The secrets: signing and encryption keys, the first passwords, the token of /metrics, a variable of the environment that
webhooks may use and one that they may not, users' passwords, access and refresh tokens, tokens of invitations and of
password resets, secrets of webhooks and, on PostgreSQL, the password of the connection. The work: sign-in right and
wrong, users, an invitation, a forgotten password, webhooks with deliveries, writes that succeed and fail, bad input, an
export, types, the API's description, an app copied, a backup. Then these are searched: the log of every level, all
answers, what commands print, all files of the data directory and of the backup (on PostgreSQL a dump of every database),
and what the receiver of webhooks was sent.

A secret counts as found as it is, in base64 (within longer texts too) and in hex. Where one belongs is said in ALLOWED,
and it fails as well where one that must be there (the environment's in a header) is not: then nothing was looked through.
"""
import argparse
import base64
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from kill9 import Client, RoundFailure, free_port  # noqa: E402

APP = "vault"
CANARY = "cnry"
ITEMS = 20
ENTITY = {
    "name": "item", "table": "items", "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [{"name": "id", "type": "uuid"}, {"name": "name", "type": "string", "required": True, "unique": True}],
}
# Where a secret belongs: the kind and the place's beginning.
ALLOWED = {("environment shown", "payload")}
# Whoever mails it must have it: it is in the event, and in the instance of the workflow that the event starts, which
# administrators see.
PLACES_OF_MAIL = ("payload", "the file", "the database", f"answer GET /api/{APP}/_workflows")
ALLOWED |= {("reset token", place) for place in PLACES_OF_MAIL}
MAIL = {
    "name": "mail", "trigger": {"type": "event", "event": "password_reset"},
    "context": {"token": "trigger.payload.token"},
    "steps": [{"id": "send", "type": "action", "actions": [{"type": "webhook"}]}],
}


def canary(kind):
    return f"{CANARY}-{kind}-{os.urandom(12).hex()}"


class Secrets:
    """All that must stay secret: the text, and what it is."""

    def __init__(self):
        self.kinds = {}

    def make(self, kind):
        text = canary(kind.replace(" ", "-"))
        self.kinds[text] = kind
        return text

    def add(self, text, kind):
        self.kinds[text] = kind
        return text

    def forms(self):
        for text, kind in self.kinds.items():
            raw = text.encode()
            yield raw, kind
            # Wherever it begins in what is encoded: the ends, whose digits have bits of others, are left out.
            for before in range(3):
                digits = base64.b64encode(bytes(before) + raw).rstrip(b"=")
                yield digits[(before * 8 + 5) // 6:(before + len(raw)) * 8 // 6], kind
            yield raw.hex().encode(), kind

    def find(self, data, place):
        found = []
        for form, kind in self.forms():
            if form in data and not any(kind == a and place.startswith(b) for a, b in ALLOWED):
                found.append(f"the {kind} in {place}")
        return found


class Receiver(http.server.BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        Receiver.received.append(str(self.headers).encode() + body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Vault:
    """A server with these secrets, and all that it has said."""

    def __init__(self, options, directory):
        self.options, self.directory, self.secrets = options, directory, Secrets()
        self.said = []  # (place, bytes)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
        make = self.secrets.make
        self.platform_password, self.admin_password = make("platform password"), make("admin password")
        self.environment |= {
            "ROCKET_LOG_LEVEL": "trace", "ROCKET_JWT_SECRET": make("jwt key"),
            "ROCKET_PLATFORM_JWT_SECRET": make("platform jwt key"), "ROCKET_ENCRYPTION_KEY": make("encryption key"),
            "ROCKET_PLATFORM_PASSWORD": self.platform_password, "ROCKET_ADMIN_PASSWORD": self.admin_password,
            "ROCKET_METRICS_TOKEN": make("metrics token"), "ROCKET_AUTH_BCRYPT_COST": "4",
            "SHOWN": make("environment shown"), "HIDDEN": make("environment hidden"), "ROCKET_WEBHOOKS_ENV": "SHOWN",
        }
        self.where = ["--data-dir", str(directory / "data")]
        if options.store == "postgres":
            # The throw-away server trusts everybody, so a password is sent to nobody and still must not be shown.
            password = make("database password")
            url = re.sub(r"//rocket@", f"//rocket:{password}@", options.url)
            self.url = re.sub(r"/[^/]*$", "/rocket_secrets", url)
            self.environment["ROCKET_DATABASE_URL"], self.where = self.url, []

    def serve(self):
        self.port = free_port()
        self.log = directory_log = self.directory / "server.log"
        self.process = subprocess.Popen(
            [self.options.rocket, "serve", "--port", str(self.port), *self.where], cwd=self.directory,
            env=self.environment, stdin=subprocess.DEVNULL, stdout=open(directory_log, "wb"), stderr=subprocess.STDOUT,
        )
        for _ in range(2000):
            try:
                if Client(self.port).send("GET", "/ready").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise RoundFailure("the server was not ready after 20 s: " + self.log.read_text(errors="replace")[-500:])

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def send(self, method, path, body=None, token=None, raw=None, own=()):
        """Keeps the answer, but for members that are its own secrets to tell."""
        client = Client(self.port, token)
        client.connection.request(method, path, raw if raw is not None else body and json.dumps(body), client.headers)
        response = client.connection.getresponse()
        text = response.read()
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        shown = text
        for secret, kind in secrets_of(parsed):
            if kind in own:
                self.secrets.add(secret, kind)
                shown = shown.replace(secret.encode(), b"(its own)")
        self.said.append((f"answer {method} {path}", str(response.headers).encode() + shown))
        return response.status, parsed

    def command(self, *arguments):
        done = subprocess.run(
            [self.options.rocket, *arguments, *self.where], cwd=self.directory, env=self.environment,
            capture_output=True, check=False, timeout=120,
        )
        self.said.append((f"command {' '.join(arguments)}", done.stdout + done.stderr))
        return done


def secrets_of(value):
    """The secrets that answers tell once, by the members that they stand under."""
    if isinstance(value, dict):
        for name, member in value.items():
            is_one = name in ("access_token", "refresh_token", "secret", "token")
            if is_one and isinstance(member, str) and len(member) > 8:
                yield member, name.replace("_", " ")
            yield from secrets_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from secrets_of(member)


def work(vault, receiver_port):
    tokens = ("access token", "refresh token")
    login = {"email": "platform@localhost", "password": vault.platform_password}
    platform = expect(200, *vault.send("POST", "/api/_platform/auth/login", login, own=tokens))["data"]["access_token"]
    expect(201, *vault.send("POST", "/api/_platform/apps", {"name": APP}, platform))
    login = {"email": "admin@localhost", "password": vault.admin_password}
    session = expect(200, *vault.send("POST", f"/api/{APP}/auth/login", login, own=tokens))["data"]
    admin, api = session["access_token"], f"/api/{APP}"
    expect(200, *vault.send("POST", f"{api}/_admin/import", {"version": 1, "entities": [ENTITY]}, admin))
    refreshed = vault.send("POST", f"{api}/auth/refresh", {"refresh_token": session["refresh_token"]}, own=tokens)
    admin = expect(200, *refreshed)["data"]["access_token"]
    hook = {
        "entity": "item", "url": f"http://127.0.0.1:{receiver_port}/", "secret": "generate",
        "headers": {"X-Shown": "{{env.SHOWN}}", "X-Hidden": "{{env.HIDDEN}}"},
    }
    vault.send("POST", f"{api}/_admin/webhooks", hook, admin, own=("secret",))
    del hook["headers"]["X-Hidden"]
    expect(201, *vault.send("POST", f"{api}/_admin/webhooks", hook, admin, own=("secret",)))
    password = vault.secrets.make("user password")
    user = {"email": "ann@x.example", "password": password, "roles": ["staff"]}
    user_id = expect(201, *vault.send("POST", f"{api}/_admin/users", user, admin))["data"]["id"]
    expect(200, *vault.send("POST", f"{api}/auth/login", {"email": user["email"], "password": password}, own=tokens))
    wrong = vault.secrets.make("wrong password")
    vault.send("POST", f"{api}/auth/login", {"email": user["email"], "password": wrong})
    vault.send("POST", f"{api}/auth/login", {"email": user["email"], "pasword": wrong})
    vault.send("POST", f"{api}/auth/login", raw='{"email": "ann@x.example", "password": "%s"' % wrong)
    vault.send("PUT", f"{api}/_admin/users/{user_id}", {"password": vault.secrets.make("new password")}, admin)
    vault.send("GET", f"{api}/item", token=vault.secrets.make("made-up token"))
    invite, path = {"email": "ben@x.example", "roles": ["staff"]}, f"{api}/_admin/invites"
    expect(201, *vault.send("POST", path, invite, admin, own=("token",)))
    forget(vault, admin, receiver_port)
    for number in range(ITEMS):
        expect(201, *vault.send("POST", f"{api}/item", {"name": f"item {number}"}, admin))
    expect(409, *vault.send("POST", f"{api}/item", {"name": "item 1"}, admin))
    for path in (
        "_admin/export", "_admin/users", "_admin/invites", "_admin/webhooks", "_admin/webhook-logs", "_workflows",
        "_openapi.json", "_admin/types", "item?filter[nme]=1", "item", "_admin/entities",
    ):
        vault.send("GET", f"{api}/{path}", token=admin)
    for path in ("/metrics", "/health", "/ready", "/api/_platform/apps", "/nothing"):
        vault.send("GET", path, token=platform)
    expect(201, *vault.send("POST", "/api/_platform/apps", {"name": "copy", "from": APP, "rows": True}, platform))


def forget(vault, admin, receiver_port):
    """A password that is forgotten, and set anew with the token that the receiver was sent."""
    api, mail = f"/api/{APP}", json.loads(json.dumps(MAIL))
    mail["steps"][0]["actions"][0]["url"] = f"http://127.0.0.1:{receiver_port}/mail"
    expect(201, *vault.send("POST", f"{api}/_admin/workflows", mail, admin))
    expect(200, *vault.send("POST", f"{api}/auth/forgot", {"email": "ann@x.example"}))
    deadline = time.monotonic() + 20
    while not (found := re.findall(rb'"token": ?"([^"]+)"', b"".join(Receiver.received))):
        if time.monotonic() > deadline:
            raise RoundFailure("nobody was sent the token of a password reset")
        time.sleep(0.1)
    token = vault.secrets.add(found[0].decode(), "reset token")
    reset = {"token": token, "password": vault.secrets.make("third password")}
    vault.send("POST", f"{api}/auth/reset", reset | {"token": vault.secrets.make("made-up reset token")})
    expect(200, *vault.send("POST", f"{api}/auth/reset", reset, own=("access_token", "refresh_token")))


def expect(wanted, status, answer):
    if status != wanted:
        raise RoundFailure(f"expected {wanted}, got {status}: {str(answer)[:300]}")
    return answer


def search(vault, backup):
    found, looked = [], 0
    places = list(vault.said) + [("the log", vault.log.read_bytes())]
    places += [(f"payload {number}", sent) for number, sent in enumerate(Receiver.received)]
    for folder in (vault.directory / "data", backup):
        if folder.exists():
            files = [path for path in folder.rglob("*") if path.is_file()]
            places += [(f"the file {path.relative_to(folder)}", path.read_bytes()) for path in files]
    if vault.options.store == "postgres":
        for name in ("rocket_secrets", f"rocket_{APP}", "rocket_copy"):
            url = re.sub(r"/[^/]*$", f"/{name}", vault.options.url)
            done = subprocess.run(["pg_dump", url], capture_output=True, check=False)
            if done.returncode:
                raise RoundFailure(f"pg_dump {name}: {done.stderr.decode(errors='replace')[:200]}")
            places.append((f"the database {name}", done.stdout))
    for place, data in places:
        looked += len(data)
        found += vault.secrets.find(data, place)
    return found, places, looked


def run(options, directory):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    vault = Vault(options, directory)
    backup = directory / "backup"
    vault.serve()
    try:
        work(vault, receiver.server_port)
        deadline = time.monotonic() + 20
        while len(Receiver.received) <= ITEMS and time.monotonic() < deadline:
            time.sleep(0.1)
        vault.command("config")
        vault.command("app", "list")
        if vault.command("backup", str(backup), APP).returncode:
            raise RoundFailure(f"no backup: {vault.said[-1][1].decode(errors='replace')[:300]}")
        vault.command("export", APP)
    finally:
        vault.stop()
    found, places, looked = search(vault, backup)
    shown = next(text for text, kind in vault.secrets.kinds.items() if kind == "environment shown").encode()
    if (showing := sum(shown in sent for sent in Receiver.received)) < ITEMS:
        found.append(f"what the environment shows is in {showing} of {ITEMS} payloads: nothing was looked through")
    print(
        f"{options.store}: {len(vault.secrets.kinds)} secrets in three forms, {len(places)} places, "
        f"{looked / 1e6:.1f} MB, {len(vault.said)} answers and commands, {len(Receiver.received)} payloads"
    )
    for line in sorted(set(found)):
        print(f"  FOUND: {line}")
    return not found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent.parent / ".build/release/rocket"
    parser.add_argument("rocket", nargs="?", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--url", default=os.environ.get("TEST_POSTGRES_URL"), help="default: $TEST_POSTGRES_URL")
    options = parser.parse_args()
    if options.store == "postgres" and not options.url:
        parser.error("--store postgres needs --url, or scripts/with_postgres.sh before it")
    options.rocket = options.rocket.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-secrets-"))
    try:
        good = run(options, directory)
    except RoundFailure as failure:
        print(f"FAILED, see {directory}: {failure}")
        return 1
    if good:
        shutil.rmtree(directory)
    else:
        print(f"see {directory}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
