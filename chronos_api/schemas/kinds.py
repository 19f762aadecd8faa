"""What goes together in a job's definition, as JSON Schema says it: for the documentation.

The rules themselves are ``domain.payloads`` and ``domain.schedules``; these let a client see them
before it sends anything. What needs more than the text (whether a cron expression ever fires,
whether an instant is past) only an answer tells.
"""

from typing import Any

from chronos_common.domain import payloads

TRIED_AGAIN = (
    "How often an execution is tried until it succeeds. A webhook is tried again if it got no "
    "answer, after 408, 425, 429 and 5xx, and after any other 4xx with a Retry-After. Other "
    "answers that are no success end the execution at once"
)

_ADDRESS = {"type": "string", "format": "email", "maxLength": 254}
_ADDRESSES = {
    "anyOf": [
        _ADDRESS,
        {"type": "array", "items": _ADDRESS, "minItems": 1, "maxItems": payloads.MAX_RECIPIENTS},
    ]
}
_COPIES = {"anyOf": [*_ADDRESSES["anyOf"], {"type": "array", "items": _ADDRESS, "maxItems": 0}]}
_PARAMETER = {"type": ["string", "number", "boolean"]}

PAYLOADS: dict[str, dict[str, Any]] = {
    "WebhookPayload": {
        "title": "Webhook",
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
            "body": {
                "type": ["object", "array", "string", "number", "boolean", "null"],
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
        "title": "Payload of the default webhook",
        "description": "Any object without url goes as JSON to the workspace's default webhook",
        "type": "object",
        "not": {"required": ["url"]},
    },
    "EmailPayload": {
        "title": "E-mail",
        "description": "A message as text, HTML, or both",
        "type": "object",
        "properties": {
            "to": _ADDRESSES,
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
        "title": "Celery task",
        "description": "A task of your own Celery application",
        "type": "object",
        "properties": {
            "task": {"type": "string", "minLength": 1, "examples": ["reports.tasks.build"]},
            "args": {"type": ["array", "null"]},
            "kwargs": {"type": ["object", "null"]},
            "queue": {"type": ["string", "null"], "default": "celery"},
        },
        "required": ["task"],
        "additionalProperties": False,
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_BY_TYPE = {
    "oneOf": [
        {
            "title": "webhook",
            "properties": {
                "type": {"enum": ["webhook", None]},
                "payload": {"anyOf": [_ref("WebhookPayload"), _ref("DefaultWebhookPayload")]},
            },
        },
        {
            "title": "email",
            "properties": {"type": {"const": "email"}, "payload": _ref("EmailPayload")},
            "required": ["type"],
        },
        {
            "title": "celery_task",
            "properties": {
                "type": {"const": "celery_task"},
                "payload": _ref("CeleryTaskPayload"),
            },
            "required": ["type"],
        },
    ]
}

_OWN_FIELD = {
    "cron": ("cron_expression", "string"),
    "interval": ("interval_seconds", "integer"),
    "once": ("run_at", "string"),
}

_BY_KIND = {
    "oneOf": [
        {
            "title": kind,
            "properties": {
                "schedule_type": {"const": kind},
                own: {"type": its_type},
                **{other: {"type": "null"} for other, _ in _OWN_FIELD.values() if other != own},
            },
            "required": ["schedule_type", own],
        }
        for kind, (own, its_type) in _OWN_FIELD.items()
    ]
}

#: What each schema says beside its fields.
RULES: dict[str, list[dict[str, Any]]] = {
    "JobFields": [_BY_KIND, _BY_TYPE],
    "JobByName": [_BY_KIND, _BY_TYPE],
    "PreviewRequest": [_BY_KIND],
    "TestRunRequest": [_BY_TYPE],
}


def add_to(document: dict[str, Any]) -> None:
    """Add the kinds to an OpenAPI document."""
    schemas = document["components"]["schemas"]
    schemas |= PAYLOADS
    for name, rules in RULES.items():
        schemas[name]["allOf"] = rules
