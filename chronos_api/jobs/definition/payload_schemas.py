"""Which fields of a job's definition go together, as JSON Schema for the documentation.

The payloads follow from ``domain.payloads``, the rules of schedules from ``domain.schedules``. A
client sees them before it sends anything. Rules that need more than the text are checked when a
job is saved: whether a cron expression ever fires, and whether an instant is past.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from chronos_common.domain.payloads import DEFAULT_TYPE, TYPES

#: The types of jobs as an enumeration, for fields that take one.
JobType: Final = StrEnum("JobType", {name: name for name in TYPES})  # type: ignore[misc] # as many as are declared

#: A payload without the field that names its server goes to the workspace's default webhook.
_DEFAULT_WEBHOOK: Final = "DefaultWebhookPayload"


def types_described() -> str:
    """Return a description of each type of job."""
    return ". ".join(f"{name}: {kind.description}" for name, kind in TYPES.items())


def payloads_described() -> str:
    """Return the fields of each type's payload, and the meaning of ``succeeded`` for it."""
    return " ".join(
        f"For {name}: {', '.join(kind.by_name)}. It has succeeded once {kind.promise}."
        for name, kind in TYPES.items()
    )


def _schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of payloads by their names."""
    default_webhook = {
        "description": "Any object without url goes as JSON to the workspace's default webhook",
        "type": "object",
        "additionalProperties": {},
        "not": {"type": "object", "properties": {"url": {}}, "required": ["url"]},
    }
    return {_schema_name(name): kind.schema for name, kind in TYPES.items()} | {
        _DEFAULT_WEBHOOK: default_webhook
    }


def _schema_name(action_type: str) -> str:
    return f"{action_type.title().replace('_', '')}Payload"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _where(name: str, values: Sequence[str | None]) -> dict[str, Any]:
    """Return the schema of an object whose field ``name`` has one of ``values``.

    An object without the field fulfils it if ``None`` is among them.
    """
    required = {} if None in values else {"required": [name]}
    return {"type": "object", "properties": {name: {"enum": list(values)}}, **required}


def _any_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [_ref(name) for name in names]} if len(names) > 1 else _ref(*names)


# Generators of clients ignore conditions and read the fields. Validators apply both. Branches of
# oneOf would need a discriminator that is always there, and type may be left out.
def _by_type() -> list[dict[str, Any]]:
    """Return which schema the payload has, for each type."""
    rules = []
    for name in TYPES:
        is_default = name == DEFAULT_TYPE
        names = [_schema_name(name), *([_DEFAULT_WEBHOOK] if is_default else [])]
        rules.append(
            {
                "if": _where("type", [name, None] if is_default else [name]),
                "then": {"type": "object", "properties": {"payload": _any_of(*names)}},
            }
        )
    return rules


_OWN_FIELD = {
    "cron": ("cron_expression", "string"),
    "interval": ("interval_seconds", "integer"),
    "once": ("run_at", "string"),
}

_BY_KIND = [
    {
        "if": _where("schedule_type", [kind]),
        "then": {
            "type": "object",
            "properties": {
                own: {"type": its_type},
                **{other: {"type": "null"} for other, _ in _OWN_FIELD.values() if other != own},
            },
            "required": [own],
        },
    }
    for kind, (own, its_type) in _OWN_FIELD.items()
]

#: The schemas whose payload is one of the kinds.
_WITH_PAYLOAD = ("JobFields", "JobByName", "JobChange", "TestRunRequest")

#: The schemas of changes. A field that is left out stays as it is, so that no default applies:
#: generated clients would send it.
_CHANGES = ("JobChange", "ChangedJob")


def add_to(document: dict[str, Any]) -> None:
    """Add the payloads and the rules to an OpenAPI document."""
    schemas = document["components"]["schemas"]
    payloads, by_type = _schemas(), _by_type()
    schemas |= payloads
    schemas["JobFields"]["allOf"] = [*_BY_KIND, *by_type]
    schemas["JobByName"]["allOf"] = [*_BY_KIND, *by_type]
    schemas["PreviewRequest"]["allOf"] = _BY_KIND
    schemas["TestRunRequest"]["allOf"] = by_type
    for name in _WITH_PAYLOAD:
        payload = schemas[name]["properties"]["payload"]
        for keyword in ("type", "additionalProperties"):
            del payload[keyword]
        payload |= _any_of(*payloads)
    for name in _CHANGES:
        for field in schemas[name]["properties"].values():
            field.pop("default", None)
