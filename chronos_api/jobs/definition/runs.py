"""The options of a run by hand: another instant, a note, and a payload that differs.

A payload is changed by a merge patch (RFC 7396) of the job's payload as answers show it. So its
secrets stay under the rules of an edited job, and never go to another server.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from marshmallow import ValidationError, validates_schema
from sqlalchemy import RowMapping

from chronos_api.executions.service import PLAIN, RunOptions
from chronos_api.fields.base import Strict
from chronos_api.fields.fields import FreeObject, Instant, Number, Text
from chronos_api.jobs.definition import definitions, payload_rules, secrets
from chronos_api.transactions import Transaction
from chronos_api.workspaces import mail_permission
from chronos_common.domain.jobs import MAX_NOTE_LENGTH
from chronos_common.errors import Invalid

#: How far ahead a run by hand may be.
MAX_AHEAD = timedelta(days=30)
#: How long an answer may wait for the end.
MAX_WAIT_SECONDS = 30


class RunFields(Strict):
    """How a run differs from its job."""

    payload_patch = FreeObject(
        allow_none=True,
        metadata={
            "description": "A merge patch (RFC 7396) of the job's payload, for this run alone: "
            "members replace those of the payload, and null removes one",
            "examples": [{"body": {"template": "correction"}}],
        },
    )
    note = Text(
        longest=MAX_NOTE_LENGTH,
        stripped=True,
        allow_none=True,
        metadata={"description": "Why, for others"},
    )
    run_at = Instant(
        allow_none=True, metadata={"description": "Not before this instant, within 30 days"}
    )
    delay_seconds = Number(
        low=0,
        high=MAX_AHEAD.total_seconds(),
        allow_none=True,
        metadata={"description": "Instead of run_at: seconds from now"},
    )
    wait_seconds = Number(
        low=0,
        high=MAX_WAIT_SECONDS,
        load_default=0.0,
        metadata={
            "description": "Seconds to wait for the end. Many waiting requests may shorten it"
        },
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_instant(self, data: dict[str, Any], **_: object) -> None:
        if data.get("run_at") is not None and data.get("delay_seconds") is not None:
            raise ValidationError("Give either run_at or delay_seconds.", "delay_seconds")


def options_of(body: Mapping[str, Any], *, now: datetime) -> RunOptions:
    """Return the options that a request asks for. Raises :class:`Invalid`."""
    patch, note, due_at = body.get("payload_patch"), body.get("note") or None, _due_at(body, now)
    if patch is None and note is None and due_at is None:
        return PLAIN
    if patch is None:
        return RunOptions(note=note, due_at=due_at)
    return RunOptions(payload_of=partial(_patched, patch), note=note, due_at=due_at)


def _due_at(body: Mapping[str, Any], now: datetime) -> datetime | None:
    at: datetime | None = body.get("run_at")
    if at is not None:
        if not now - timedelta(seconds=5) <= at <= now + MAX_AHEAD:
            raise Invalid({"run_at": [f"Must be within {MAX_AHEAD.days} days from now."]})
        return max(at, now)
    delay = body.get("delay_seconds")
    return now + timedelta(seconds=delay) if delay else None


def _patched(patch: Mapping[str, Any], tx: Transaction, row: RowMapping) -> Mapping[str, Any]:
    """Return a locked job's payload with the changes of ``patch``. Raises :class:`Invalid`."""
    action_type, stored = row["type"], row["payload"]
    payload = merged(secrets.shown(action_type, stored), patch)
    payload, errors = secrets.restored(action_type, payload, stored)
    if errors:
        raise Invalid(_named(errors))
    mail_permission.check_fields(tx, action_type)
    default_url = definitions.default_url_for(tx, {"type": action_type, "payload": payload})
    try:
        payload_rules.check(action_type, payload, default_url=default_url)
    except Invalid as error:
        raise Invalid(_named(error.fields)) from error
    return payload


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``target`` changed by a merge patch (RFC 7396). Bodies are bounded in depth."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _named(errors: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {f"payload_patch{name.removeprefix('payload')}": each for name, each in errors.items()}
