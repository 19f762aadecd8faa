"""What goes together in a job's definition, as JSON Schema says it: for the documentation.

The rules themselves are ``domain.payloads`` and ``domain.schedules``; these let a client see them
before it sends anything. What needs more than the text (whether a cron expression ever fires,
whether an instant is past) only an answer tells.
"""

from collections.abc import Sequence
from typing import Any

from chronos_common.domain import payloads

TRIED_AGAIN = (
    "How often an execution is tried until it succeeds. A webhook is tried again if it got no "
    "answer, or none that was complete within timeout_seconds, after 408, 425, 429 and 5xx, and "
    "after any other 4xx with a Retry-After. Other answers that are no success, redirects that "
    "cannot be followed and addresses that must not be reached end the execution at once"
)

_ADDRESS = {"type": "string", "format": "email", "maxLength": 254}
_ADDRESS_LIST = {"type": "array", "items": _ADDRESS, "maxItems": payloads.MAX_RECIPIENTS}
_COPIES = {"anyOf": [_ADDRESS, _ADDRESS_LIST]}
_PARAMETER = {"type": ["string", "number", "boolean"]}

PAYLOADS: dict[str, dict[str, Any]] = {
    "WebhookPayload": {
        "description": "An HTTP request",
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "format": "uri",
                "maxLength": payloads.MAX_URL_LENGTH,
                "examples": ["https://example.com/hook"],
            },
            "method": {"type": "string", "enum": list(payloads.METHODS), "default": "POST"},
            "headers": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string"},
                "maxProperties": payloads.MAX_HEADERS,
            },
            "params": {
                "type": ["object", "null"],
                "additionalProperties": {
                    "anyOf": [_PARAMETER, {"type": "array", "items": _PARAMETER, "minItems": 1}]
                },
            },
            # Without a type, since it is any JSON value.
            "body": {
                "description": "A string is sent as it is, in the charset of the Content-Type; "
                "other values as JSON, or as a form under application/x-www-form-urlencoded",
            },
            "body_base64": {
                "type": ["string", "null"],
                "contentEncoding": "base64",
                "description": "Bytes, instead of body",
            },
            "success_statuses": {
                "type": ["array", "null"],
                "items": {"type": "integer", "minimum": 100, "maximum": 599},
                "description": "Instead of 200 to 299",
            },
            "follow_redirects": {"type": ["boolean", "null"], "default": True},
            "verify_tls": {"type": ["boolean", "null"], "default": True},
        },
        "required": ["url"],
        "additionalProperties": False,
    },
    "DefaultWebhookPayload": {
        "description": "Any object without url goes as JSON to the workspace's default webhook",
        "type": "object",
        "additionalProperties": {},
        "not": {"type": "object", "properties": {"url": {}}, "required": ["url"]},
    },
    "EmailPayload": {
        "description": "A message as text, HTML, or both",
        "type": "object",
        "properties": {
            "to": {"anyOf": [_ADDRESS, _ADDRESS_LIST | {"minItems": 1}]},
            "subject": {
                "type": "string",
                "minLength": 1,
                "maxLength": payloads.MAX_SUBJECT_LENGTH,
            },
            "body": {"type": ["string", "null"]},
            "html": {"type": ["string", "null"]},
            "cc": _COPIES,
            "bcc": _COPIES | {"description": "Copies that no recipient sees"},
            "reply_to": _ADDRESS,
        },
        "required": ["to", "subject"],
        "additionalProperties": False,
    },
    "CeleryTaskPayload": {
        "description": "A task of your own Celery application",
        "type": "object",
        "properties": {
            "task": {"type": "string", "minLength": 1, "examples": ["reports.tasks.build"]},
            "args": {"type": ["array", "null"], "items": {}},
            "kwargs": {"type": ["object", "null"], "additionalProperties": {}},
            "queue": {"type": ["string", "null"], "default": "celery"},
        },
        "required": ["task"],
        "additionalProperties": False,
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _where(name: str, values: Sequence[str | None]) -> dict[str, Any]:
    """Return what an object fulfils whose field ``name`` has one of ``values``.

    One without the field fulfils it if ``None`` is among them.
    """
    required = {} if None in values else {"required": [name]}
    return {"type": "object", "properties": {name: {"enum": list(values)}}, **required}


_PAYLOADS_BY_TYPE: dict[str, tuple[str, ...]] = {
    "webhook": ("WebhookPayload", "DefaultWebhookPayload"),
    "email": ("EmailPayload",),
    "celery_task": ("CeleryTaskPayload",),
}


def _any_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [_ref(name) for name in names]} if len(names) > 1 else _ref(*names)


# Generators of clients ignore conditions and read the fields; validators apply both. Branches of
# oneOf would need a discriminator that is always there, and type may be left out.
_BY_TYPE = [
    {
        "if": _where("type", [kind, None] if kind == "webhook" else [kind]),
        "then": {"type": "object", "properties": {"payload": _any_of(*names)}},
    }
    for kind, names in _PAYLOADS_BY_TYPE.items()
]

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

#: What each schema says beside its fields.
RULES: dict[str, list[dict[str, Any]]] = {
    "JobFields": [*_BY_KIND, *_BY_TYPE],
    "JobByName": [*_BY_KIND, *_BY_TYPE],
    "PreviewRequest": _BY_KIND,
    "TestRunRequest": _BY_TYPE,
}

#: The schemas whose payload is one of the kinds.
_WITH_PAYLOAD = ("JobFields", "JobByName", "JobChange", "TestRunRequest")

#: The schemas of changes. A field that is left out stays as it is, so that no default applies:
#: generated clients would send it.
_CHANGES = ("JobChange", "ChangedJob")


def add_to(document: dict[str, Any]) -> None:
    """Add the kinds to an OpenAPI document."""
    schemas = document["components"]["schemas"]
    schemas |= PAYLOADS
    for name, rules in RULES.items():
        schemas[name]["allOf"] = rules
    for name in _WITH_PAYLOAD:
        payload = schemas[name]["properties"]["payload"]
        for keyword in ("type", "additionalProperties"):
            del payload[keyword]
        payload |= _any_of(*PAYLOADS)
    for name in _CHANGES:
        for field in schemas[name]["properties"].values():
            field.pop("default", None)
