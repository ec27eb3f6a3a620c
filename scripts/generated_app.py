#!/usr/bin/env python3
"""Writes the definitions of an app that a seed draws: what `rocket import` and `_admin/import` take.

    scripts/generated_app.py 7 > app.json

Five to eight entities with fields of every type between them, keys of every kind, enums, unique fields, defaults, soft
delete, relations of each kind, rules and a state machine. The same seed gives the same app, so that what is found on it
can be found again. It is drawn so that a create can succeed: required fields are of types that clients can make up.
"""
import argparse
import json
import random

TYPES = [
    "string", "text", "int", "bigint", "float", "decimal", "boolean", "uuid", "timestamp", "date", "json", "file",
]
NAMES = [
    "order", "member", "invoice", "note", "device", "visit", "asset", "lesson", "batch", "recipe", "claim", "route",
]
WORDS = ["new", "open", "held", "done", "void", "späte", "a b", "Ω"]
KEYS = [
    {"type": "uuid", "generated": True}, {"type": "int", "generated": True}, {"type": "bigint", "generated": True},
    {"type": "string", "generated": False}, {"type": "int", "generated": False},
]


class App:
    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.names = self.draw.sample(NAMES, self.draw.randint(5, 8))
        # Each type stands somewhere in every app.
        self.owed = list(TYPES)
        self.entities = [self.entity(name) for name in self.names]

    def definitions(self):
        return {
            "version": 1, "entities": self.entities, "relations": self.relations(), "rules": self.rules(),
            "state_machines": self.machines(), "permissions": [], "webhooks": [], "workflows": [], "sample_data": {},
        }

    def entity(self, name):
        key = {"field": "id"} | self.draw.choice(KEYS)
        fields = [{"name": "id", "type": key["type"]} | ({} if key["generated"] else {"required": True})]
        for number in range(self.draw.randint(3, 7)):
            kind = self.owed.pop() if self.owed else self.draw.choice(TYPES)
            fields.append(self.field(f"{kind}_{number}", kind))
        fields.append({"name": "state", "type": "string", "enum": WORDS[:4]})
        fields.append({"name": "made_at", "type": "timestamp", "auto": "create"})
        if self.draw.random() < 0.5:
            fields.append({"name": "changed_at", "type": "timestamp", "auto": "update"})
        return {
            "name": name, "table": f"{name}_rows", "primary_key": key, "soft_delete": self.draw.random() < 0.5,
            "history": self.draw.random() < 0.7, "fields": fields,
        }

    def field(self, name, kind):
        field = {"name": name, "type": kind}
        if kind == "decimal" and self.draw.random() < 0.6:
            field["precision"] = self.draw.randint(0, 6)
        if kind == "string" and self.draw.random() < 0.3:
            field["enum"] = self.draw.sample(WORDS, self.draw.randint(1, len(WORDS)))
        if kind == "int" and self.draw.random() < 0.3:
            field["default"] = self.draw.randint(-5, 5)
        if kind in ("string", "int", "bigint") and "enum" not in field and self.draw.random() < 0.15:
            field["unique"] = True
        if kind in ("string", "int", "boolean", "date") and self.draw.random() < 0.4:
            field["required"] = True
        elif self.draw.random() < 0.3:
            field["nullable"] = True
        return field

    def key_type(self, name):
        return next(entity for entity in self.entities if entity["name"] == name)["primary_key"]["type"]

    def relations(self):
        found = []
        for number, (source, target) in enumerate(zip(self.names, self.names[1:])):
            kind = ["one_to_many", "one_to_one", "many_to_many"][number % 3]
            relation = {
                "name": f"{source}_{target}s", "type": kind, "source": source, "target": target,
                "on_delete": self.draw.choice(["cascade", "restrict"]), "inverse": f"of_{source}",
            }
            if kind == "many_to_many":
                relation |= {
                    "join_table": f"{source}_{target}_links", "source_join_key": f"{source}_id",
                    "target_join_key": f"{target}_id",
                }
            else:
                relation |= {"source_key": "id", "target_key": f"{source}_id"}
                entity = next(entity for entity in self.entities if entity["name"] == target)
                entity["fields"].append({"name": f"{source}_id", "type": self.key_type(source), "nullable": True})
            found.append(relation)
        return found

    def rules(self):
        return [
            {
                "entity": name, "hook": "before_write", "type": "expression",
                "definition": {
                    "expression": "record.state === 'done' && record.id == null", "message": "nothing is done that has no key",
                },
            }
            for name in self.names[:2]
        ]

    def machines(self):
        transitions = [{"from": WORDS[index], "to": WORDS[index + 1], "actions": []} for index in range(3)]
        return [
            {"entity": self.names[-1], "field": "state", "definition": {"initial": "new", "transitions": transitions}}
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    print(json.dumps(App(parser.parse_args().seed).definitions(), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
