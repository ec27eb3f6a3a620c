"""Whether what is stored is what was sent, and can be of its type."""
import datetime
import decimal
import json
import re

from app import TYPES


def judge_stored(judge, name, raw, answer):
    """What is stored is what was sent, and can be of its type."""
    sent = json.loads(raw, parse_float=number) if raw is not None else None
    if raw is None or sent is None:
        return
    stored, type = answer.json()["data"].get(name), TYPES[name]["type"]
    try:
        is_right = STORED[type](sent, stored) and sent in TYPES[name].get("enum", [sent])
        is_right = is_right and (name != "money" or -decimal.Decimal(str(stored)).normalize().as_tuple().exponent <= 2)
    except (ValueError, TypeError, ArithmeticError, AttributeError, KeyError):
        is_right = False
    if not is_right and not (name == "slug" and sent == ""):
        judge.wrong(f"stored as something else: {type} {name}", f"{raw[:150]!r} became {str(stored)[:150]!r}")


def number(text):
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        # An exponent that no decimal here has: it is nothing, or without end.
        return float(text)


def same_moment(sent, stored):
    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", sent, re.ASCII
    )
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    zone = match[8]
    offset = datetime.timedelta() if zone in "Zz" else datetime.timedelta(
        hours=int(zone[1:3]), minutes=int(zone[4:6])
    ) * (1 if zone[0] == "+" else -1)
    # A leap second is the next one, where it is taken.
    moment = datetime.datetime(
        year, month, day, hour, minute, min(second, 59), int((match[7] or "")[:6].ljust(6, "0"))
    ) - offset
    if second == 60:
        return True
    return stored == moment.strftime("%Y-%m-%dT%H:%M:%S.").rjust(20, "0") + f"{moment.microsecond:06}Z"


def is_number(value):
    return isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)


def same_number(sent, stored, bits):
    return stored == decimal.Decimal(sent) and -(2 ** (bits - 1)) <= stored < 2 ** (bits - 1) and stored == int(stored)


def same_text(sent, stored):
    return isinstance(sent, str) and "\0" not in sent and stored == sent


def same_float(sent, stored):
    return is_number(sent) and float(sent) == float(stored) and abs(float(stored)) < float("inf")


def same_decimal(sent, stored):
    return (is_number(sent) or sent.strip() == sent) and decimal.Decimal(stored) == decimal.Decimal(sent)


def same_uuid(sent, stored):
    return stored == sent.lower() and re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", stored, re.ASCII)


def same_large_number(sent, stored):
    return (is_number(sent) or re.fullmatch(r"-?\d+", sent, re.ASCII)) and same_number(sent, stored, 64)


def same_file(sent, stored):
    return isinstance(stored, dict) and stored["id"] == (sent["id"] if isinstance(sent, dict) else sent)


# Of each type, whether a value is what was sent, and the type's own; what fails on the way is not.
STORED = {
    "string": same_text, "text": same_text,
    "int": lambda sent, stored: is_number(sent) and same_number(sent, stored, 32),
    "bigint": same_large_number, "float": same_float, "decimal": same_decimal,
    "boolean": lambda sent, stored: isinstance(sent, bool) and stored is sent,
    "uuid": same_uuid, "timestamp": same_moment,
    "date": lambda sent, stored: stored == sent and datetime.date.fromisoformat(sent).isoformat() == sent,
    "json": lambda sent, stored: stored == sent and isinstance(stored, bool) == isinstance(sent, bool),
    "file": same_file,
}
