"""Bodies that are right for each route, so that what is wrong in a probe is what was put there."""
import json

from app import APP, EXPRESSION, NOBODY, entity, field


class RightBodies:
    """One of each kind for a route, from what is there and with names that are not taken."""

    def __init__(self):
        self.count, self.made = 0, 0  # of bodies, of things whose names are taken
        self.things = {}  # what there is of each collection: its id or name
        self.file = self.tag = None

    def number(self):
        self.count += 1
        return self.count

    def record(self):
        number = self.number()
        return {
            "text": "x", "prose": "long", "whole": 1, "large": 2, "real": 1.5, "exact": 2.5, "money": 3.25,
            "flag": True, "other": NOBODY,
            "moment": "2026-01-02T03:04:05Z", "day": "2026-01-02", "any": {"a": [1]}, "doc": self.file, "level": "low",
            "grade": 1, "title": f"Title {number}",
            "code": f"c{number}", "slug": f"s{number}",
        }

    def part_row(self):
        others = ("level", "grade", "title", "code", "slug")
        return {name: value for name, value in self.record().items() if name not in others}

    def nested(self):
        return {
            "title": "Nested", "code": f"n{self.number()}",
            "parts": {"_write_mode": "diff", "data": [self.part_row(), {"text": "y"}]}, "single": {"text": "z"},
            "tags": [{"id": self.tag}, {"label": "new"}],
        }

    def name(self):
        return f"made{self.made}"

    def bodies(self, route):
        """Bodies that are right for a route, one of each kind; an unknown route gets one that is a guess."""
        path = route.path
        last = path.split("/")[-1]
        kind = path.split("/")[4] if path.startswith("/api/:app/_admin/") else None
        if last in ("explain", "test", "bulk"):
            kind = last
        makers = {
            "login": lambda: [
                {"email": ("platform" if "_platform" in path else "admin") + "@localhost", "password": "changeme"}
            ],
            "refresh": lambda: [{"refresh_token": "t" * 43}], "logout": lambda: [{"refresh_token": "t" * 43}],
            "password": lambda: [{"old": "wrong password", "new": "password3"}],
            "forgot": lambda: [{"email": "nobody@x.example"}],
            "reset": lambda: [{"token": "t" * 43, "password": "password3"}],
            "accept-invite": lambda: [{"token": "t" * 43, "password": "password3"}],
            # Taken: it is all read, and makes no app.
            "apps": lambda: [
                {"name": APP, "display_name": "Taken", "db_driver": "sqlite", "from": "elsewhere", "rows": False}
            ],
            "_batch": self.batches, ":event": lambda: [{"note": "x", "list": [1, {"a": None}]}],
            "approve": self.decisions, "reject": self.decisions,
            "delegate": lambda: [{"user": NOBODY, "step": "wait_for_boss"}], "upload": lambda: [{}],
        }
        by_kind = {
            "entities": self.entities, "relations": self.relations, "rules": self.rules,
            "state-machines": self.machines, "permissions": self.permissions,
            "webhooks": self.webhooks, "workflows": self.workflows, "users": self.users,
            "invites": lambda: [{"email": f"i{self.number()}@x.example", "roles": ["agent"], "attributes": {"a": 1}}],
            "bulk": lambda: [
                {"invites": [{"email": f"b{self.number()}@x.example", "roles": ["agent"], "attributes": {}}]}
            ],
            "import": self.imports,
            "explain": lambda: [
                {"user": {"id": NOBODY, "roles": ["agent"]}, "entity": "tag", "action": "read", "id": self.tag}
            ],
            "test": self.trials,
        }
        if kind in by_kind:
            return [body | self.kept(route) for body in by_kind[kind]()]
        if path.startswith("/api/_platform/users"):
            return self.users()
        if last in makers:
            return makers[last]()
        if route.is_of_records:
            return [self.record(), self.nested()]
        return [{"name": "x", "id": NOBODY, "email": "a@x.example", "data": []}]

    def right_body(self, route):
        return json.dumps(self.bodies(route)[0]).encode() if route.takes_body else None

    def kept(self, route):
        """What a replacement must say as it is."""
        if route.method != "PUT":
            return {}
        if route.path.endswith("/state-machines/:id"):
            return {"field": "state"}
        name = self.things.get(f"/api/{APP}/_admin/" + route.path.split("/")[4])
        return {
            "/entities/:name": {"name": name, "table": name}, "/relations/:name": {"name": name}
        }.get("/" + "/".join(route.path.split("/")[4:]), {})

    def batches(self):
        operations = [
            {"method": "POST", "path": "/part", "body": self.part_row()},
            {"method": "PATCH", "path": "/part/$0.id", "body": {"text": "$0.text", "whole": 2}, "if_match": None},
            {"method": "DELETE", "path": "/part/$0.id"},
        ]
        del operations[1]["if_match"]
        return [{"operations": operations}]

    def decisions(self):
        return [{"comment": "fine", "step": "wait_for_boss", "form": {"amount": 1.5, "why": "so"}}]

    def users(self):
        return [
            {
                "email": f"u{self.number()}@x.example", "password": "password1", "roles": ["agent"], "active": True,
                "attributes": {"a": [1]}
            }
        ]

    def entities(self):
        fields = [
            field("id", "uuid", required=True),
            field("text", "string", required=False, unique=True, nullable=True, default="x", enum=["x", "y"]),
            field("exact", "decimal", precision=2, default=1.5),
            field("whole", "int", default=1, enum=[1, 2]), field("at", "timestamp", auto="create"),
            field("day", "date", default="2026-01-01"), field("any", "json", default={"a": 1}),
            field("slug", "string", unique=True),
        ]
        return [{
            "name": self.name(), "table": self.name(),
            "primary_key": {"field": "id", "type": "uuid", "generated": True}, "soft_delete": True, "history": True,
            "slug": {"field": "slug", "source": "text", "regenerate_on_update": False},
            "indexes": [{"fields": ["whole", "-at"], "unique": False}], "fields": fields,
        }]

    def relations(self):
        base = {
            "name": f"r_{self.name()}", "source": "tag", "target": "victim", "inverse": f"i_{self.name()}",
            "ownership": "source", "on_delete": "set_null", "fetch": "lazy", "write_mode": "diff"
        }
        return [
            base | {"type": "one_to_many", "source_key": "id", "target_key": "other"},
            base | {
                "type": "many_to_many", "join_table": f"j_{self.name()}", "source_join_key": "tag_id",
                "target_join_key": "victim_id", "on_delete": "cascade"
            },
        ]

    def rules(self):
        rule = {"entity": "victim", "hook": "before_write", "priority": 1, "active": True}
        return [
            rule | {
                "type": "field",
                "definition": {
                    "field": "text", "operator": "pattern", "value": "^(a+)+$", "message": "no", "stop_on_fail": True
                }
            },
            rule | {"type": "field", "definition": {"field": "whole", "operator": "max", "value": 100}},
            rule | {
                "type": "expression",
                "definition": {
                    "expression": f"{EXPRESSION} && false", "message": "no", "field": "text", "stop_on_fail": False,
                    "related_load": []
                }
            },
            rule | {"type": "computed", "definition": {"field": "any", "expression": "[record.text, record.exact]"}},
        ]

    def trials(self):
        record = {
            "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "whole": 5, "exact": 1.5, "moment": "2026-01-02T03:04:05Z",
            "any": {"a": 1}
        }
        trial = {
            "entity": "victim", "record": record, "old": {"text": "old"},
            "user": {"id": NOBODY, "email": "a@x.example", "roles": ["agent"]}, "hook": "before_write"
        }
        return [
            trial | {"type": "expression", "definition": {"expression": EXPRESSION}},
            trial | {"type": "field", "definition": {"field": "text", "operator": "pattern", "value": "^(a+)+$"}},
            trial | {"type": "computed", "definition": {"field": "text", "expression": "record.text + 1"}},
        ]

    def machines(self):
        actions = [
            {"type": "set_field", "field": "moment", "value": "now"},
            {"type": "set_field", "field": "text", "expression": "record.text"},
            {"type": "create_record", "entity": "tag", "values": {"label": {"expression": "record.text"}}},
            {"type": "send_event", "event": "moved", "payload": {"a": {"expression": "record.whole"}, "b": 1}},
        ]
        transitions = [
            {"from": ["new", "old"], "to": "done", "roles": ["agent"], "guard": EXPRESSION, "actions": actions},
            {"from": "*", "to": "gone"}
        ]
        return [
            {
                "entity": "victim", "field": "phase", "definition": {"initial": "new", "transitions": transitions},
                "active": True
            }
        ]

    def permissions(self):
        return [
            {"entity": "victim", "action": "update", "roles": ["agent", "*"],
             "conditions": [
                 {"field": "text", "operator": "eq", "value": "$user.email"},
                 {"field": "whole", "operator": "in", "value": [1, 2]},
             ],
             "check": [{"field": "moment", "operator": "lt", "value": "$now"}], "fields": ["text", "whole"]},
            {
                "entity": "victim", "action": "read", "roles": ["agent"],
                "conditions": [{"field": "text", "operator": "like", "value": "a%"}], "except": ["money"]
            },
        ]

    def webhooks(self):
        return [{
            "entity": "tag", "hook": "after_delete", "url": "http://127.0.0.1:9/never", "method": "POST",
            "headers": {"X-A": "{{env.HOME}}"}, "condition": "record.label == 'never'", "async": True,
            "retry": {"max_attempts": 1, "backoff": "linear"}, "secret": "generate", "active": True,
        }]

    def workflows(self):
        actions = [
            {"type": "set_field", "entity": "victim", "record_id": "context.id", "field": "text", "value": "x"},
            {
                "type": "update_record", "entity": "victim", "record_id": "context.id",
                "values": {"whole": {"expression": "1 + 1"}}
            },
            {"type": "create_record", "entity": "tag", "values": {"label": "context.id"}, "result": "made"},
            {"type": "send_event", "event": "sent", "payload": {"a": 1}},
            {
                "type": "webhook", "url": "http://127.0.0.1:9/", "method": "POST", "headers": {"X": "y"},
                "retry": {"max_attempts": 1, "backoff": "linear"}, "result": "answer"
            },
        ]
        steps = [
            {
                "id": "first", "type": "condition", "expression": "context.id != null", "on_true": "ask",
                "on_false": {"goto": "end"}
            },
            {
                "id": "ask", "type": "approval", "required": "any", "timeout": "2d",
                "assignee": [
                    {"type": "role", "role": "boss"}, {"type": "user", "user": NOBODY},
                    {"type": "relation", "path": "context.boss"},
                ],
                "form": [field("amount", "decimal", precision=2)],
                "on_approve": "act", "on_reject": "end", "on_timeout": "end",
            },
            {"id": "act", "type": "action", "actions": actions, "then": "rest"},
            {"id": "rest", "type": "wait", "duration": "10s", "then": "many"},
            {"id": "many", "type": "parallel", "branches": [["left"], ["right"]], "join": "all", "then": "sub"},
            {"id": "left", "type": "wait", "until": "context.when"}, {"id": "right", "type": "wait", "duration": "1s"},
            {"id": "sub", "type": "call", "workflow": "asking", "context": {"note": "context.id"}, "result": "answer2"},
        ]
        base = {
            "name": f"w_{self.name()}",
            "context": {"id": "trigger.payload.id", "boss": "user.id", "when": "trigger.payload.when"}, "steps": steps,
            "active": True
        }
        small = {"steps": steps[3:4] + steps[4:7]}
        small["steps"] = [steps[3] | {"then": "end"}]
        return [
            base | {
                "trigger": {"type": "event", "event": "never", "roles": ["agent"], "condition": "payload.id != null"}
            },
            base | small | {
                "context": {"id": "record.id"},
                "trigger": {
                    "type": "state_change", "entity": "victim", "field": "state", "to": "never", "condition": EXPRESSION
                }
            },
            base | small | {
                "context": {},
                "trigger": {
                    "type": "record", "entity": "victim", "action": "delete", "condition": "record.text == 'never'"
                }
            },
            base | small | {
                "context": {"at": "scheduled_at"}, "trigger": {"type": "schedule", "cron": "0 8 1 1 *"}, "active": False
            },
        ]

    def imports(self):
        return [{
            "version": 1, "exported_at": "2026-01-01T00:00:00Z",
            "entities": [entity(self.name(), [field("text", "string")])], "relations": [], "rules": self.rules()[:1],
            "state_machines": [], "workflows": [],
            "permissions": self.permissions()[:1], "webhooks": [],
            "sample_data": {
                "tag": [{"id": NOBODY, "label": "imported"}], "every_tags": [],
                "_users": [{"email": "imported@x.example", "password": "password1", "roles": ["agent"], "active": True}]
            },
        }]
