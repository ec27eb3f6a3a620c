"""The app that is tried: an entity with a field of every type, and one of everything that metadata can hold."""

APP = "desk"
NOBODY = "11111111-1111-4111-8111-111111111111"
EXPRESSION = "record.text == 'x' && len(record.prose) > 3"


def field(name, type, **more):
    return {"name": name, "type": type} | more


def entity(name, fields, **more):
    return {
        "name": name, "table": f"{name}_rows", "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "soft_delete": False,
        "fields": [field("id", "uuid"), *fields],
    } | more


SIMPLE = [
    field("text", "string"), field("prose", "text"), field("whole", "int"), field("large", "bigint"),
    field("real", "float"), field("exact", "decimal"),
    field("money", "decimal", precision=2), field("flag", "boolean"), field("other", "uuid"),
    field("moment", "timestamp"), field("day", "date"),
    field("any", "json"), field("doc", "file"),
]
TYPES = {definition["name"]: definition for definition in SIMPLE} | {
    "level": field("level", "string", enum=["low", "high"]), "grade": field("grade", "int", enum=[1, 2, 3]),
    "title": field("title", "string", required=True), "code": field("code", "string", unique=True),
    "slug": field("slug", "string", unique=True),
}
EVERY = entity(
    "every",
    SIMPLE + [
        TYPES["level"], TYPES["grade"], TYPES["title"], TYPES["code"], TYPES["slug"],
        field("made_at", "timestamp", auto="create"), field("kept", "string", default="kept"),
    ],
    soft_delete=True, slug={"field": "slug", "source": "title"},
    indexes=[{"fields": ["level", "-whole"]}, {"fields": ["exact"]}],
)
DEFINITIONS = {
    "version": 1,
    "entities": [
        EVERY,
        entity("part", SIMPLE + [field("every_id", "uuid"), field("state", "string")]),
        entity("single", [field("text", "string"), field("every_id", "uuid")]),
        entity("tag", [field("label", "string")]),
        entity("victim", SIMPLE + [field("state", "string"), field("phase", "string")]),
        entity(
            "numbered", [field("text", "string")], primary_key={"field": "id", "type": "int", "generated": True}
        ) | {"fields": [field("id", "int"), field("text", "string")]},
        entity(
            "named", [], primary_key={"field": "id", "type": "string", "generated": False}
        ) | {"fields": [field("id", "string"), field("text", "string")]},
        entity(
            "counted", [], primary_key={"field": "id", "type": "bigint", "generated": False}
        ) | {"fields": [field("id", "bigint"), field("text", "string")]},
    ],
    "relations": [
        {
            "name": "parts", "type": "one_to_many", "source": "every", "target": "part", "source_key": "id",
            "target_key": "every_id", "on_delete": "cascade", "inverse": "whole_of"
        },
        {
            "name": "single", "type": "one_to_one", "source": "every", "target": "single", "source_key": "id",
            "target_key": "every_id", "on_delete": "cascade", "inverse": "owner"
        },
        {
            "name": "tags", "type": "many_to_many", "source": "every", "target": "tag", "join_table": "every_tags",
            "source_join_key": "every_id", "target_join_key": "tag_id", "on_delete": "cascade", "inverse": "everys"
        },
    ],
    "rules": [
        {
            "entity": "part", "type": "field",
            "definition": {"field": "text", "operator": "pattern", "value": "^(a+)+$|."}
        },
        {"entity": "part", "type": "field", "definition": {"field": "prose", "operator": "max_length", "value": 5000}},
        {
            "entity": "part", "type": "expression",
            "definition": {
                "expression": "record.text != null "
                "&& record.text.toUpperCase().replace(/(a|a)*$/g, 'x').split('').length > 1e6",
                "message": "long"
            }
        },
        {
            "entity": "part", "type": "computed",
            "definition": {"field": "real", "expression": "record.exact == null ? null : Number(record.exact) * 2"}
        },
    ],
    "state_machines": [
        {
            "entity": "part", "field": "state",
            "definition": {
                "initial": "new",
                "transitions": [
                    {"from": "new", "to": "done", "guard": "record.flag != false"},
                    {"from": "*", "to": "gone", "roles": ["boss"]}
                ]
            }
        },
    ],
    "workflows": [
        {
            "name": "asking", "trigger": {"type": "event", "event": "ask", "roles": ["*"]},
            "context": {"note": "trigger.payload.note"},
            "steps": [
                {
                    "id": "wait_for_boss", "type": "approval", "assignee": {"type": "role", "role": "admin"},
                    "form": [field("amount", "decimal"), field("why", "text")], "on_approve": "end", "on_reject": "end",
                },
            ],
        },
    ],
    "permissions": [
        {
            "entity": "every", "action": "read", "roles": ["*"],
            "conditions": [{"field": "level", "operator": "neq", "value": "secret"}]
        },
        {"entity": "every", "action": "create", "roles": ["agent"], "except": ["money"]},
        {"entity": "part", "action": "read", "roles": ["*"]},
        {"entity": "tag", "action": "read", "roles": ["anonymous"]},
        {"entity": "tag", "action": "create", "roles": ["anonymous"]},
    ],
}
