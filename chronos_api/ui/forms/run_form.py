"""The form of a run by hand that differs from its job: its payload, a note and a delay.

People edit the whole payload. The API takes a merge patch (RFC 7396), which follows from the two.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import RowMapping

from chronos_api.executions.service import RunOptions
from chronos_api.http import json_body
from chronos_api.jobs.definition import runs, secrets
from chronos_api.jobs.definition.runs import RunFields
from chronos_api.ui.forms import texts
from chronos_common.domain.jobs import is_same_json
from chronos_common.errors import ChronosError, Invalid

T = TypeVar("T")

_PAYLOAD: Final = "payload"
_NO_NULL = "A run cannot set a member to null. Leave the member out, or change the job."


def form_of(job: RowMapping) -> dict[str, str]:
    """Return the form of a run of a stored job, whose secrets it hides."""
    payload = secrets.shown(job["type"], job["payload"])
    return {_PAYLOAD: json.dumps(payload, indent=2, ensure_ascii=False)}


def options_of(form: Mapping[str, str], job: RowMapping, *, now: datetime) -> RunOptions:
    """Return the options of a run that the form of this job means. Raises :class:`Invalid`."""
    return runs.options_of(_body(form, secrets.shown(job["type"], job["payload"])), now=now)


def _body(form: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, Any]:
    edited = _read(_PAYLOAD, texts.json_object, form.get(_PAYLOAD, ""))
    patch = patch_between(payload, edited)
    if runs.merged(payload, patch) != edited:
        raise Invalid({_PAYLOAD: [_NO_NULL]})
    body: dict[str, Any] = {"note": form.get("note", "").strip() or None}
    if patch:
        body["payload_patch"] = patch
    if delay := form.get("delay_seconds", "").strip():
        body["delay_seconds"] = _read("delay_seconds", texts.number, delay)
    return json_body.load(RunFields, body)


def _read(name: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise Invalid({name: [str(error)]}) from error


def patch_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes ``after`` of ``before``, if ``after`` has no new null."""
    patch: dict[str, Any] = dict.fromkeys(name for name in before if name not in after)
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            if inner := patch_between(old, value):
                patch[name] = inner
        elif name not in before or not is_same_json(old, value):
            patch[name] = value
    return patch


def named(error: ChronosError) -> ChronosError:
    """Return an error with the names of the form's fields."""
    if not isinstance(error, Invalid):
        return error
    fields = error.fields.items()
    return Invalid({name.replace("payload_patch", _PAYLOAD, 1): each for name, each in fields})
