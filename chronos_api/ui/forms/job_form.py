"""The form of a job: its fields as text, and the body of the API that they mean.

A field whose text cannot be read is an error of that field. Everything else is checked where the
API checks it, so that a form and a program get the same errors.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of_class
from datetime import datetime
from typing import Any, Final, TypeVar

from chronos_api.jobs.definition.definitions import SCHEDULE_FIELDS
from chronos_api.ui import definitions, wording
from chronos_api.ui.definitions import ChangedField
from chronos_api.ui.forms import texts
from chronos_api.ui.forms.form_inputs import INPUTS
from chronos_common import clock
from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.payloads import DEFAULT_TYPE
from chronos_common.domain.retries import RetryPolicy
from chronos_common.errors import Invalid

Form = Mapping[str, str]
T = TypeVar("T")

#: The fields of a form that are those of the API, as they are written.
_TEXTS = (
    "name",
    "description",
    "schedule_type",
    "timezone",
    "misfire_policy",
    "overlap_policy",
    *(each.name for each in INPUTS.values() if not each.is_number),
)
_NUMBERS = (
    "interval_seconds",
    "jitter_seconds",
    "max_runs",
    "max_attempts",
    "timeout_seconds",
    "misfire_grace_seconds",
    *(each.name for each in INPUTS.values() if each.is_number),
)
#: The fields that an emptied input resets to their defaults.
RESETS: Final = ("description", "max_runs", "jitter_seconds", "notify", "retry_delays", *INPUTS)
_FIELD_OF_KIND = {"cron": "cron_expression", "interval": "interval_seconds", "once": "run_at"}

_POLICY: Final = RetryPolicy()
_DEFAULTS: Final = {each.name: each.default for each in fields_of_class(JobDefinition)}

#: Inputs that are no fields of a job.
_NO_FIELDS = frozenset({"csrf_token", "version", "do"})

#: A new job's form.
BLANK: Final[Form] = {
    "type": DEFAULT_TYPE,
    "method": "POST",
    "schedule_type": "cron",
    "cron_expression": "0 9 * * *",
    "timezone": "UTC",
    "max_attempts": str(_POLICY.max_attempts),
    "retry_delays": ", ".join(f"{each:g}" for each in _POLICY.retry_delays),
    "timeout_seconds": f"{_DEFAULTS['timeout_seconds']:g}",
    "misfire_policy": str(_DEFAULTS["misfire_policy"]),
    "misfire_grace_seconds": f"{_DEFAULTS['misfire_grace_seconds']:g}",
    "overlap_policy": str(_DEFAULTS["overlap_policy"]),
}


def body_of(form: Form) -> dict[str, Any]:
    """Return the body of the API that the form means. Raises :class:`Invalid`."""
    reader = _FormReader(form)
    action_type = form.get("type", DEFAULT_TYPE)
    body: dict[str, Any] = {"type": action_type, "payload": reader.payload(action_type)}
    body |= _plain_fields(form, reader)
    if form.get("retry_delays", "").strip():
        body["retry_delays"] = reader.numbers("retry_delays")
    if "shadow" in form:
        body["shadow"] = form["shadow"] == "true"
    body["tags"] = texts.parts(form.get("tags", ""))
    if form.get("notify_whom") != "creator":
        body["notify"] = texts.parts(form.get("notify", ""))
    if reader.errors:
        raise Invalid(reader.errors)
    return body


def edit_of(form: Form, stored: Form) -> dict[str, Any]:
    """Return the body of a change that the form of a job means. Raises :class:`Invalid`.

    A payload that nobody has touched is left out, so that the stored one stays to the letter.
    """
    body = body_of(form)
    if not any(_differs(form, stored, name) for name in _PAYLOAD_INPUTS):
        del body["payload"]
    return body


def _differs(typed: Form, stored: Form, name: str) -> bool:
    return texts.trimmed(typed.get(name, "")) != texts.trimmed(stored.get(name, ""))


def schedule_of(form: Form) -> dict[str, Any]:
    """Return the part of the body that says when. Raises :class:`Invalid`."""
    reader = _FormReader(form)
    body = _plain_fields(form, reader)
    if errors := {name: each for name, each in reader.errors.items() if name in SCHEDULE_FIELDS}:
        raise Invalid(errors)
    return {name: value for name, value in body.items() if name in SCHEDULE_FIELDS}


def _plain_fields(form: Form, reader: "_FormReader") -> dict[str, Any]:
    """Return the texts and numbers of the form, without those of other kinds of schedule."""
    body: dict[str, Any] = {
        name: form[name].strip() for name in _TEXTS if form.get(name, "").strip()
    }
    body |= {name: reader.number(name) for name in _NUMBERS if form.get(name, "").strip()}
    kind = form.get("schedule_type", "")
    for other, name in _FIELD_OF_KIND.items():
        if other != kind:
            body.pop(name, None)
    if kind == "cron":
        body["cron_expression"] = form.get("cron_expression", "").strip()
        body["day_match"] = form.get("day_match", "").strip() or DayMatch.ANY.value
    if kind == "once":
        body["run_at"] = form.get("run_at", "").strip()
    return body


class _FormReader:
    """Reads the texts of a form, and collects the errors of those that cannot be read."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self.errors: dict[str, list[str]] = {}

    def payload(self, action_type: str) -> dict[str, Any]:
        """Return the payload: the fields of a webhook, or the JSON of any other type."""
        if action_type != DEFAULT_TYPE:
            return self._read("payload", texts.json_object, self._form.get("payload", "")) or {}
        payload: dict[str, Any] = {"method": self._form.get("method", "POST")}
        if url := self._form.get("url", "").strip():
            payload["url"] = url
        if headers := self._form.get("headers", "").strip():
            payload["headers"] = self._read("payload.headers", texts.headers, headers)
        if body := texts.trimmed(self._form.get("body", "")):
            payload["body"] = texts.json_or_text(body)
        return payload | self._more()

    def _more(self) -> dict[str, Any]:
        """Return the fields of the payload that have no input of their own."""
        return self._read("payload", texts.json_object, self._form.get("payload_more", "")) or {}

    def number(self, name: str) -> float | None:
        """Return the number in a field, or None with an error."""
        return self._read(name, texts.number, self._form[name])

    def numbers(self, name: str) -> list[float | None]:
        """Return the numbers in a field."""
        return [self._read(name, texts.number, each) for each in texts.parts(self._form[name])]

    def _read(self, name: str, read: Callable[[str], T], text: str) -> T | None:
        try:
            return read(text)
        except ValueError as error:
            self.errors[name] = [str(error)]
            return None


#: The parts of a webhook's payload that have inputs of their own.
_WEBHOOK_INPUTS = frozenset({"url", "method", "headers", "body"})
_PAYLOAD_INPUTS = _WEBHOOK_INPUTS | {"payload", "payload_more"}


def form_of(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the form of a job, whose snapshot is given, so that :func:`body_of` means it."""
    names = (*_TEXTS, *_NUMBERS, "cron_expression", "day_match", "run_at", "type")
    form = {name: _text(job[name]) for name in names if job.get(name) is not None}
    form["shadow"] = "true" if job.get("shadow") else ""
    form["tags"] = ", ".join(job.get("tags", ()))
    form["notify_whom"] = "creator" if job.get("notify") is None else "these"
    form["notify"] = ", ".join(job.get("notify") or ())
    if "retry_delays" in job:
        form["retry_delays"] = ", ".join(f"{each:g}" for each in job["retry_delays"])
    return form | _payload_form(job["type"], job["payload"])


def filled(job: Mapping[str, Any]) -> Form:
    """Return the form of a new job. ``job`` gives some of its fields."""
    return {**BLANK, **form_of(job)}


def differences(stored: Form, typed: Form) -> list[ChangedField]:
    """Return the fields of a form whose typed value differs from that of the stored job."""
    return [
        ChangedField(
            definitions.name_of(name), stored.get(name) or wording.NONE, value or wording.NONE
        )
        for name, value in typed.items()
        if name not in _NO_FIELDS and _differs(typed, stored, name)
    ]


def _payload_form(action_type: str, payload: Mapping[str, Any]) -> dict[str, str]:
    if action_type != DEFAULT_TYPE:
        return {"payload": json.dumps(payload, indent=2, ensure_ascii=False)}
    more = {name: value for name, value in payload.items() if name not in _WEBHOOK_INPUTS}
    body = payload.get("body")
    headers = payload.get("headers", {})
    return {
        "url": payload.get("url", ""),
        "method": payload.get("method", "POST"),
        "headers": "\n".join(f"{name}: {value}" for name, value in headers.items()),
        "body": "" if body is None else texts.text_of(body),
        "payload_more": json.dumps(more, indent=2, ensure_ascii=False) if more else "",
    }


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.rfc3339(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
