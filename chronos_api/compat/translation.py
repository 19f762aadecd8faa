"""Bodies of other schedulers in the words of this API, and its errors in theirs."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from chronos_api.jobs.definition import definitions
from chronos_common.domain.jobs import MAX_NAME_LENGTH
from chronos_common.domain.payloads import TYPES, WEBHOOK
from chronos_common.domain.schedules.schedule import ScheduleKind
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import Invalid

#: The fields of a schedule. A body has one of them.
SCHEDULES = ("schedule", "cron_expression", "scheduled_time")

#: The fields of a job's answer that cannot be changed.
READ_ONLY = definitions.READ_ONLY | {"job_id", "nextRunAt", "createdAt", "updatedAt", "executions"}

#: How a body may say that a job is started at least once, which all jobs are.
AT_LEAST_ONCE = ("ATLEAST_ONCE", "AT_LEAST_ONCE")

_CREDENTIALS = "api_key"
_INSTANT = re.compile(r"\s*\d{4}-")
_REQUIRED = "Missing; it is required."


@dataclass(frozen=True, slots=True)
class Translation:
    """The content of a body as ``fields`` of this API, and its own ``names`` for them."""

    fields: dict[str, Any]
    names: dict[str, str]

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Let errors that are raised inside name the fields as the caller wrote them."""
        try:
            yield
        except Invalid as error:
            named: dict[str, list[str]] = {}
            for name, messages in error.fields.items():
                named.setdefault(self.names.get(name, name), []).extend(messages)
            raise Invalid(named) from error


def of_job(body: Mapping[str, Any]) -> Translation:
    """Translate a new job. Raises :class:`Invalid`."""
    translation = of_change(body)
    translation.fields.setdefault("payload", {})
    return Translation(translation.fields, {"schedule_type": "schedule"} | translation.names)


def of_submission(body: Mapping[str, Any]) -> Translation:
    """Translate a new job that need not have a name. Raises :class:`Invalid`."""
    translation = of_job(body)
    payload = translation.fields["payload"]
    url = payload.get("url") if isinstance(payload, dict) else None
    translation.fields.setdefault("name", _name_of(url) if url else "Submitted job")
    return translation


def of_post(body: Mapping[str, Any]) -> Translation:
    """Translate a job that is a POST request to ``api``. Raises :class:`Invalid`."""
    rest = {name: value for name, value in body.items() if name not in {"api", "type"}}
    faults = _post_faults(body)
    if faults:
        raise Invalid(faults)
    rest.setdefault("name", _name_of(body["api"]))
    payload = {"url": body["api"], "method": "POST"}
    translation = of_job({**rest, "type": WEBHOOK.name, "payload": payload})
    return Translation(translation.fields, {**translation.names, "payload.url": "api"})


def _post_faults(body: Mapping[str, Any]) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = {}
    if body.get("api") is None:
        faults["api"] = [_REQUIRED]
    if body.get("schedule") is None:
        faults["schedule"] = [_REQUIRED]
    if body.get("type", AT_LEAST_ONCE[0]) not in AT_LEAST_ONCE:
        faults["type"] = [f"Must be {AT_LEAST_ONCE[0]}: that is what every job is."]
    if "payload" in body:
        faults["payload"] = ["Unknown field; remove it."]
    return faults


def of_change(body: Mapping[str, Any]) -> Translation:
    """Translate some fields of a job. Raises :class:`Invalid`."""
    fields = {name: value for name, value in body.items() if name != _CREDENTIALS}
    names: dict[str, str] = {}
    _translate_type(fields)
    _translate_enabled(fields, names)
    _translate_schedule(fields, names)
    return Translation(fields, names)


def changes(body: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``body`` that differ from ``answer``.

    So an answer can be edited and sent back: of several names for the same thing, like
    ``schedule`` and ``cron_expression``, only those that were edited count.
    """
    return {
        name: value
        for name, value in body.items()
        if name not in READ_ONLY and not (name in answer and answer[name] == value)
    }


def _translate_type(fields: dict[str, Any]) -> None:
    given = fields.get("type")
    if isinstance(given, str) and given.lower() in TYPES:
        fields["type"] = given.lower()


def _translate_enabled(fields: dict[str, Any], names: dict[str, str]) -> None:
    enabled = fields.pop("enabled", None)
    if enabled is None:
        return
    if not isinstance(enabled, bool):
        raise Invalid({"enabled": ["Must be true or false."]})
    if fields.get("status") is not None:
        raise Invalid({"enabled": ["Give either enabled or status."]})
    fields["status"] = JobStatus.ACTIVE if enabled else JobStatus.PAUSED
    names["status"] = "enabled"


def _translate_schedule(fields: dict[str, Any], names: dict[str, str]) -> None:
    given = {name: fields.pop(name) for name in SCHEDULES if name in fields}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return
    word, *others = given
    value = given[word]
    is_instant = word == "scheduled_time" or (
        word == "schedule" and isinstance(value, str) and _INSTANT.match(value)
    )
    kind, name = (
        (ScheduleKind.ONCE, "run_at") if is_instant else (ScheduleKind.CRON, "cron_expression")
    )
    if name in fields:
        others.append(name)
    if others:
        message = f"Says the same as {word}; give one of them."
        raise Invalid({other: [message] for other in others})
    fields[name] = value
    fields.setdefault("schedule_type", kind)
    names |= {name: word, "schedule_type": word}


def _name_of(url: object) -> str:
    """Return a name for a job that has none, without possible secrets of its URL."""
    try:
        parts = urlsplit(str(url))
        place = f"{parts.hostname or ''}{parts.path}"
    except ValueError:
        place = ""
    return f"POST {place}"[:MAX_NAME_LENGTH].strip()
