"""The rules of payloads in this installation: those of the type, and those of the operator.

Workers check stored payloads again by the same rules of the type and of Celery tasks.
"""

import json
from collections.abc import Mapping
from typing import Any

from chronos_api.context import current
from chronos_common.domain import payloads
from chronos_common.domain.payloads import CeleryTask, Email
from chronos_common.domain.payloads.celery_task import TaskRules
from chronos_common.domain.payloads.email import RecipientRules
from chronos_common.errors import Invalid
from chronos_common.quotas import PAYLOAD_BYTES


def check(action_type: str, payload: Mapping[str, Any], *, default_url: str | None) -> None:
    """Check a payload that a user has written.

    Raises :class:`Invalid` with every wrong field, each named as in ``payload.url``.
    """
    settings = current().settings
    _check_size(payload, PAYLOAD_BYTES.bound(settings))
    parsed = payloads.parse(action_type, payload, default_url=default_url)
    if isinstance(parsed, CeleryTask):
        rules = TaskRules(
            bool(settings.tasks_broker_url), settings.tasks_allowed, settings.tasks_queues
        )
        rules.check(parsed)
    if isinstance(parsed, Email):
        RecipientRules(settings.email_recipient_domains).check(parsed)


def _check_size(payload: Mapping[str, Any], most: int) -> None:
    size = stored_bytes(payload)
    if size > most:
        message = (
            f"Has {size:,} bytes as JSON, and may have {most:,}; send a reference to the data, or "
            f"ask the operator to raise CHRONOS_{PAYLOAD_BYTES.setting.upper()}."
        )
        raise Invalid({"payload": [message]})


def stored_bytes(payload: Mapping[str, Any]) -> int:
    """Return the size of a payload as it is stored, with all but ASCII escaped."""
    return len(json.dumps(payload))
