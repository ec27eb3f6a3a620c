"""Bounds of metadata and of users."""
import uuid

from loading.stage import entity


async def metadata(bounds):
    def wide(name, count):
        return entity(name, {f"f{number}": "int" for number in range(count - 1)}, history=False)

    bad = "VALIDATION_FAILED"
    await bounds.under("fields", "POST", "/_admin/entities", wide("w500", 500))
    await bounds.over("fields", 422, bad, "500", "POST", "/_admin/entities", wide("w501", 501))
    await bounds.under("name", "POST", "/_admin/entities", entity("n" * 62, {"f": "int"}))
    await bounds.over("name", 422, bad, "62", "POST", "/_admin/entities", entity("n" * 64, {"f": "int"}, table="short"))
    rule = lambda text: {  # noqa: E731
        "entity": "item", "type": "expression", "active": False, "hook": "before_write",
        "definition": {"expression": text},
    }
    await bounds.under("expression", "POST", "/_admin/rules", rule("record.number == 1".ljust(16_384)))
    await bounds.over("expression", 422, bad, "16", "POST", "/_admin/rules", rule("record.number == 1".ljust(16_385)))
    flow = lambda name, count: {  # noqa: E731
        "name": name, "trigger": {"type": "event", "event": name}, "active": False, "context": {},
        "steps": [{"id": f"s{n}", "type": "wait", "duration": "1s", "then": f"s{n + 1}" if n + 1 < count else "end"}
                  for n in range(count)],
    }
    await bounds.under("steps", "POST", "/_admin/workflows", flow("w500", 500))
    await bounds.over("steps", 422, bad, "500", "POST", "/_admin/workflows", flow("w501", 501))
    await bounds.over("app's name", 422, bad, "49", "POST", "/api/_platform/apps", {"name": "a" * 51})


async def users(bounds):
    user = lambda **more: {"email": f"{uuid.uuid4()}@b.example", "password": "p" * 12, "roles": []} | more  # noqa: E731
    bad = "VALIDATION_FAILED"
    for name, good, wrong, says in [
        ("password", user(password="p" * 72), user(password="p" * 73), "72"),
        ("short password", user(password="p" * 8), user(password="p" * 7), "8"),
        ("roles", user(roles=[f"r{n}" for n in range(100)]), user(roles=[f"r{n}" for n in range(101)]), "100"),
        ("a role", user(roles=["r" * 100]), user(roles=["r" * 101]), "100"),
        ("attributes", user(attributes={"a": "v" * 16_300}), user(attributes={"a": "v" * 16_400}), "16384"),
        ("e-mail", user(email="e" * 244 + "@b.example"), user(email="e" * 245 + "@b.example"), "254"),
    ]:
        await bounds.under(name, "POST", "/_admin/users", good)
        await bounds.over(name, 422, bad, says, "POST", "/_admin/users", wrong)
    invites = lambda count: {"invites": [{"email": f"{uuid.uuid4()}@b.example"} for _ in range(count)]}  # noqa: E731
    await bounds.under("invites", "POST", "/_admin/invites/bulk", invites(100))
    await bounds.over("invites", 422, bad, "100", "POST", "/_admin/invites/bulk", invites(101))
