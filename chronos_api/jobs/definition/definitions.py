"""Job definitions between the API's fields, the domain, and the stored rows.

A plain field has one name everywhere: in ``JobFields``, in ``JobDefinition`` and as a column. Only
the others are named here: the type, the payload, and the parts of the schedule and the retries.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of_class
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from marshmallow import ValidationError
from sqlalchemy import RowMapping

from chronos_api.fields.fields import Instant
from chronos_api.http.json_body import flatten, made
from chronos_api.jobs.definition import payload_rules, secrets
from chronos_api.jobs.schemas import (
    JobAnswer,
    JobDetail,
    JobFields,
    Recurrence,
    ScheduleFields,
)
from chronos_api.transactions import Session
from chronos_api.workspaces import mail_permission
from chronos_common.clock import to_milliseconds
from chronos_common.domain import payloads
from chronos_common.domain.jobs import JobDefinition, is_same_json
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.fields import FIELD_OF_KIND, from_fields
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.errors import Invalid
from chronos_common.storage.accounts import workspaces
from chronos_common.storage.jobs import columns
from chronos_common.storage.jobs.schedules import schedule_of

T = TypeVar("T")

_USER_FIELDS = made(JobFields).fields.keys()

#: The fields of an answer that a user cannot write. A PUT of an answer leaves them as they are.
READ_ONLY = frozenset(made(JobDetail).fields.keys() - _USER_FIELDS)

#: The fields that name the instants of a job.
SCHEDULE_FIELDS = frozenset(made(ScheduleFields).fields)

_MOMENTS = tuple(
    name for name, field in made(JobFields).fields.items() if isinstance(field, Instant)
)
_BACKOFF_FIELDS = ("backoff_seconds", "backoff_factor", "backoff_cap_seconds")

# In the order of an answer. Two of them are more than a column, see below.
_COLUMNS = {name: name for name in made(JobAnswer).fields if name in _USER_FIELDS} | {
    "schedule_type": "kind",
    "cron_expression": "expression",
    "job_type": "kind",
    "run_at": "anchor",
}

_POLICY_FIELDS = frozenset(each.name for each in fields_of_class(RetryPolicy))
_PLAIN_FIELDS = frozenset(each.name for each in fields_of_class(JobDefinition)) - {
    "type",
    "payload",
    "schedule",
    "policy",
}


def define(
    fields: Mapping[str, Any],
    *,
    job_id: UUID,
    now: datetime,
    stored: RowMapping | None = None,
    default_url: str | None = None,
    is_payload_given: bool = True,
) -> JobDefinition:
    """Return the definition that ``fields`` describe.

    ``stored`` is the job that it replaces. ``default_url`` is the workspace's default webhook, for
    a payload that needs it. A payload that is not given is the stored one. It is not checked:
    other rules may have held when it was stored.

    Raises :class:`Invalid` with every wrong field.
    """
    reader = _DefinitionReader(fields, stored)
    action_type = reader.action_type()
    payload = reader.payload(action_type, default_url=default_url, is_given=is_payload_given)
    schedule = reader.schedule(job_id=job_id, now=now)
    policy = reader.policy()
    reader.check_notify()
    if reader.errors or schedule is None:
        raise Invalid(reader.errors)
    return JobDefinition(
        type=action_type, payload=payload, schedule=schedule, policy=policy, **reader.plain()
    )


def default_url_for(session: Session, fields: Mapping[str, Any]) -> str | None:
    """Return the workspace's default webhook if these fields, not checked yet, rely on it.

    Their payload is stored as it was written, and the address is looked up when it is sent. So a
    changed default applies to every job that relies on it, from the next execution on.
    """
    return default_url(session) if needs_default_url(fields) else None


def needs_default_url(fields: Mapping[str, Any]) -> bool:
    """Return whether these fields, not checked yet, rely on the workspace's default webhook."""
    payload = fields.get("payload")
    return isinstance(payload, dict) and payloads.uses_default(
        fields.get("type") or payloads.DEFAULT_TYPE, payload
    )


def default_url(session: Session) -> str | None:
    """Return the workspace's default webhook, or None if it has none."""
    url: str | None = workspaces.find(session.connection, session.workspace_id)[
        "default_webhook_url"
    ]
    return url


class _DefinitionReader:
    """Reads the parts of a definition, and collects their errors.

    The first error of a field counts: the schema's, then that of its part.
    """

    def __init__(self, fields: Mapping[str, Any], stored: RowMapping | None) -> None:
        self._stored = stored
        self.errors: dict[str, list[str]] = {}
        try:
            loaded = made(JobFields).load(fields)
        except ValidationError as error:
            loaded, self.errors = error.valid_data, flatten(error.messages)
        self._loaded = {name: value for name, value in loaded.items() if value is not None}

    def action_type(self) -> str:
        """Return the type, which a stored job keeps."""
        action_type: str = self._loaded.get("type", payloads.DEFAULT_TYPE)
        if self._stored is not None and action_type != self._stored["type"]:
            self._refuse({"type": ["Cannot be changed; create another job."]})
        return action_type

    def payload(
        self, action_type: str, *, default_url: str | None, is_given: bool
    ) -> Mapping[str, Any]:
        """Return the payload with its stored secrets, checked if it is given."""
        payload: Mapping[str, Any] = self._loaded.get("payload", {})
        if not is_given or "payload" not in self._loaded or "type" in self.errors:
            return payload
        before = None if self._stored is None else self._stored["payload"]
        payload, errors = secrets.restored(action_type, payload, before)
        self._refuse(errors)
        self._read(lambda: payload_rules.check(action_type, payload, default_url=default_url))
        return payload

    def schedule(self, *, job_id: UUID, now: datetime) -> Schedule | None:
        """Return the schedule. If no field of it changes, it is the stored one.

        Such a schedule keeps its anchor, and its instants may be past.
        """
        given, kind = self._loaded.get("job_type"), self._loaded.get("schedule_type")
        before = None if self._stored is None else schedule_of(job_id, self._stored)
        schedule = before
        if before is None or not self._keeps_schedule():
            schedule = self._read(
                lambda: from_fields(self._loaded, job_id=job_id, now=now, before=before)
            )
        if given and kind and given != recurrence_of(kind):
            message = f"schedule_type '{kind}' is {recurrence_of(kind)}; remove or correct."
            self._refuse({"job_type": [message]})
        return schedule

    def policy(self) -> RetryPolicy:
        """Return the retry policy. A backoff field asks for exponential delays."""
        given = {name: self._loaded[name] for name in _POLICY_FIELDS & self._loaded.keys()}
        backoff = [name for name in _BACKOFF_FIELDS if name in given]
        if backoff and given.get("retry_delays"):
            message = "Does not go with retry_delays; remove one of them."
            self._refuse({name: [message] for name in backoff})
        if backoff or "retry_delays" in given:
            given["retry_delays"] = tuple(given.get("retry_delays", ()))
        return RetryPolicy(**given)

    def check_notify(self) -> None:
        """Check that e-mails may go to those who are told of failures."""
        notify = [] if "notify" in self.errors else self._loaded.get("notify", [])
        self._read(lambda: mail_permission.check_recipients("notify", notify))

    def plain(self) -> dict[str, Any]:
        """Return the other fields that are given. A list holds each value once."""
        return {
            name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value
            for name, value in self._loaded.items()
            if name in _PLAIN_FIELDS
        }

    def _keeps_schedule(self) -> bool:
        if self._stored is None:
            return False
        before = fields_of(self._stored, time=to_milliseconds)
        after = {"timezone": "UTC", "day_match": "any", "jitter_seconds": 0} | self._loaded
        return all(before[name] == _in_milliseconds(after.get(name)) for name in SCHEDULE_FIELDS)

    def _read(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Invalid as error:
            self._refuse(error.fields)
            return None

    def _refuse(self, errors: Mapping[str, list[str]]) -> None:
        for name, messages in errors.items():
            self.errors.setdefault(name, messages)


def _in_milliseconds(value: Any) -> Any:
    return to_milliseconds(value) if isinstance(value, datetime) else value


def recurrence_of(kind: str) -> Recurrence:
    """Return whether jobs with this kind of schedule run more than once."""
    return Recurrence.ONE_TIME if kind == ScheduleKind.ONCE else Recurrence.RECURRING


def is_stored(definition: JobDefinition, row: RowMapping) -> bool:
    """Return whether a stored job has exactly this definition."""
    values = columns.of_job(definition) | columns.of_schedule(definition)
    is_kept = all(row[name] == value for name, value in values.items())
    return is_kept and is_same_json(row["payload"], dict(definition.payload))


def fields_of(
    row: RowMapping, *, time: Callable[[datetime], Any] = datetime.isoformat
) -> dict[str, Any]:
    """Return a stored job as a user would write it, with its secrets.

    ``time`` converts its times.
    """
    fields = {name: row[column] for name, column in _COLUMNS.items()}
    fields["job_type"] = recurrence_of(row["kind"])
    if row["kind"] != ScheduleKind.ONCE:
        fields["run_at"] = None
    if row["retry_delays"]:
        fields |= dict.fromkeys(_BACKOFF_FIELDS)
    for name in _MOMENTS:
        if fields[name] is not None:
            fields[name] = time(fields[name])
    return fields


def replaced(row: RowMapping, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a PUT of ``body`` asks for."""
    fields = {name: value for name, value in body.items() if name not in READ_ONLY}
    fields.setdefault("type", row["type"])
    return fields


def merged(row: RowMapping, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a PATCH with ``body`` asks for (RFC 7396, at the top level).

    Stored fields that exclude a field of ``body`` are left out: those of the other kinds of
    schedule, and those of the other way to space retries.
    """
    kept = fields_of(row)
    if body.get("schedule_type", row["kind"]) != row["kind"]:
        kept |= dict.fromkeys((*FIELD_OF_KIND.values(), "job_type", "day_match"))
    if any(body.get(name) is not None for name in _BACKOFF_FIELDS):
        kept["retry_delays"] = None
    if body.get("retry_delays"):
        kept |= dict.fromkeys(_BACKOFF_FIELDS)
    return {**kept, **body}
