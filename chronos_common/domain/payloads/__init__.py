"""The types of jobs, and their payloads, parsed from JSON to the values that are sent.

The API checks payloads with these rules before it stores them. Workers parse stored payloads with
the same ones, so that a payload made invalid behind the API's back fails as that job's failure.

A type is a module of this folder, named like the type, that declares a :class:`PayloadType`.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from chronos_common.domain import redaction
from chronos_common.domain.payloads.celery_task import CELERY_TASK, CeleryTask
from chronos_common.domain.payloads.email import EMAIL, Email, mailboxes
from chronos_common.domain.payloads.payload_type import PayloadType
from chronos_common.domain.payloads.webhook import WEBHOOK, Webhook
from chronos_common.domain.redaction import REDACTED
from chronos_common.errors import Invalid

__all__ = [
    "CELERY_TASK",
    "DEFAULT_TYPE",
    "EMAIL",
    "TYPES",
    "WEBHOOK",
    "CeleryTask",
    "Email",
    "PayloadType",
    "UnknownType",
    "Webhook",
    "mailboxes",
    "parse",
    "uses_default",
    "without_secrets",
]

#: The type of a job that names none.
DEFAULT_TYPE: Final = WEBHOOK.name


def _declared() -> dict[str, PayloadType[Any]]:
    """Return the types that the modules of this folder declare, the default one first."""
    found = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, PayloadType):
                found[value.name] = value
    return {DEFAULT_TYPE: found.pop(DEFAULT_TYPE), **found}


#: The types by their names.
TYPES: Final = _declared()


class UnknownType(Invalid):
    """There is no such type of job."""

    def __init__(self, name: str) -> None:
        known = ", ".join(TYPES)
        super().__init__({"type": [f"{name!r} is not known here; it must be one of {known}."]})


def parse(
    action_type: str, payload: Mapping[str, Any], *, default_url: str | None = None
) -> object:
    """Return ``payload`` as a job of ``action_type`` performs it.

    A webhook's payload without a ``url`` goes as JSON to ``default_url``, as it is.
    Raises :class:`Invalid` with every wrong field, each named as in ``payload.url``.
    """
    if action_type not in TYPES:
        raise UnknownType(action_type)
    if uses_default(action_type, payload):
        if default_url is not None:
            payload = {"url": default_url, "body": dict(payload)}
        elif WEBHOOK.by_name.keys().isdisjoint(payload):
            # It is for the default webhook, so that its fields are the user's own.
            payload = {}
    return TYPES[action_type].parse(payload)


def uses_default(action_type: str, payload: Mapping[str, Any]) -> bool:
    """Return whether the workspace's default webhook gets this payload."""
    return action_type == WEBHOOK.name and isinstance(payload, Mapping) and "url" not in payload


def without_secrets(action_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored payload, valid or not, without its secrets.

    Each type declares the fields that hold some. All of a type that is not known here is hidden,
    because another release stored it.
    """
    if action_type not in TYPES:
        return dict.fromkeys(payload, REDACTED)
    if uses_default(action_type, payload):
        return dict(redaction.json_value(payload))
    result = dict(payload)
    for field in TYPES[action_type].secrets:
        if field.redact and field.name in payload:
            result[field.name] = field.redact(payload[field.name])
    return result
