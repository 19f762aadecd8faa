"""Job definitions between what users write, what is checked, and what is stored.

A definition is checked as a whole, with every wrong field reported together: the schema's rules,
those of the payload's type, and those of the schedule's kind.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import ValidationError
from sqlalchemy import RowMapping

from chronos_api.http.json_body import flatten, made
from chronos_api.jobs.definition import secrets
from chronos_api.jobs.schemas import JobFields, Recurrence
from chronos_common.clock import to_milliseconds
from chronos_common.domain import jobs as bounds
from chronos_common.domain import payloads
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.same_json import is_same
from chronos_common.domain.schedules.fields import from_fields
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.statuses import MisfirePolicy, OverlapPolicy
from chronos_common.errors import Invalid
from chronos_common.storage.jobs import jobs
from chronos_common.storage.jobs.schedules import schedule_of

#: What an answer holds beyond a definition; a PUT of an answer leaves it as it is.
READ_ONLY = frozenset(
    {
        "id",
        "version",
        "created_by",
        "created_at",
        "updated_at",
        "next_run_at",
        "next_runs",
        "schedule_description",
    }
)

_OWN_FIELDS = ("cron_expression", "interval_seconds", "run_at")
_SCHEDULE_FIELDS = (
    "schedule_type",
    *_OWN_FIELDS,
    "timezone",
    "starts_at",
    "ends_at",
    "jitter_seconds",
)
_BACKOFF_FIELDS = ("backoff_seconds", "backoff_factor", "backoff_cap_seconds")
_POLICIES = ("misfire_policy", "misfire_grace_seconds", "overlap_policy")
_POLICY = RetryPolicy()


def define(
    fields: Mapping[str, Any],
    *,
    job_id: UUID,
    now: datetime,
    stored: RowMapping | None = None,
    default_url: str | None = None,
    is_payload_given: bool = True,
) -> JobDefinition:
    """Return the definition that ``fields`` ask for.

    ``default_url`` is the workspace's default webhook, for a payload that needs it.
    A payload that is not given is the stored one. It may be of a time with other rules, and
    keeps nobody from changing something else.
    A schedule that is just as ``stored`` is kept as it is, past instants and anchor included; of
    another one, what it leaves as it was.
    Raises :class:`Invalid` with every wrong field.
    """
    loaded, errors = _load(fields)
    found: list[dict[str, list[str]]] = []
    job_type = loaded.get("type") or payloads.DEFAULT_TYPE
    if stored is not None and "type" not in errors and job_type != stored["type"]:
        found.append({"type": ["Cannot be changed; create another job."]})
    elif "type" not in errors and "payload" in loaded and is_payload_given:
        before = None if stored is None else stored["payload"]
        loaded["payload"], faults = secrets.restored(job_type, loaded["payload"], before)
        found += [faults, _payload_errors(job_type, loaded["payload"], default_url)]
    schedule = _kept_schedule(loaded, stored) if stored and not errors else None
    if schedule is None:
        schedule = _schedule(loaded, found, job_id=job_id, now=now, stored=stored)
    found += [_recurrence_errors(loaded), _retry_errors(loaded)]
    for each in found:
        for name, messages in each.items():
            errors.setdefault(name, messages)
    if errors or schedule is None:
        raise Invalid(errors)
    return _definition(loaded, job_type, schedule)


def _load(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return what the schema accepts, without nulls, and what it refuses."""
    try:
        loaded, errors = made(JobFields).load(fields), {}
    except ValidationError as error:
        loaded, errors = error.valid_data, flatten(error.messages)
    return {name: value for name, value in loaded.items() if value is not None}, errors


def _payload_errors(
    job_type: str, payload: Mapping[str, Any], default_url: str | None
) -> dict[str, list[str]]:
    try:
        payloads.parse(job_type, payload, default_url=default_url)
    except Invalid as error:
        return error.fields
    return {}


def _schedule(
    loaded: Mapping[str, Any],
    found: list[dict[str, list[str]]],
    *,
    job_id: UUID,
    now: datetime,
    stored: RowMapping | None,
) -> Schedule | None:
    before = None if stored is None else stored_schedule(stored)
    try:
        return from_fields(loaded, job_id=job_id, now=now, before=before)
    except Invalid as error:
        found.append(error.fields)
        return None


def _kept_schedule(loaded: Mapping[str, Any], stored: RowMapping) -> Schedule | None:
    """Return the stored schedule if ``loaded`` asks for just that."""
    before = {name: _comparable(schedule_fields(stored).get(name)) for name in _SCHEDULE_FIELDS}
    after = {name: _comparable(loaded.get(name)) for name in _SCHEDULE_FIELDS}
    after["timezone"] = after["timezone"] or "UTC"
    after["jitter_seconds"] = after["jitter_seconds"] or 0
    return stored_schedule(stored) if before == after else None


def _comparable(value: Any) -> Any:
    return to_milliseconds(value) if isinstance(value, datetime) else value


def _recurrence_errors(loaded: Mapping[str, Any]) -> dict[str, list[str]]:
    given, kind = loaded.get("job_type"), loaded.get("schedule_type")
    if given is None or kind is None or given == recurrence_of(kind):
        return {}
    return {"job_type": [f"schedule_type '{kind}' is {recurrence_of(kind)}; remove or correct."]}


def _retry_errors(loaded: Mapping[str, Any]) -> dict[str, list[str]]:
    if not loaded.get("retry_delays"):
        return {}
    message = "Does not go with retry_delays; remove one of them."
    return {name: [message] for name in _BACKOFF_FIELDS if name in loaded}


def _definition(loaded: Mapping[str, Any], job_type: str, schedule: Schedule) -> JobDefinition:
    notify = loaded.get("notify")
    return JobDefinition(
        name=loaded["name"],
        description=loaded.get("description", ""),
        type=job_type,
        payload=loaded["payload"],
        tags=tuple(dict.fromkeys(loaded.get("tags", ()))),
        notify=None if notify is None else tuple(dict.fromkeys(notify)),
        policy=_policy(loaded),
        timeout_seconds=loaded.get("timeout_seconds", bounds.DEFAULT_TIMEOUT_SECONDS),
        overlap_policy=loaded.get("overlap_policy", OverlapPolicy.ALLOW),
        schedule=schedule,
        jitter_seconds=loaded.get("jitter_seconds", 0.0),
        max_runs=loaded.get("max_runs"),
        misfire_policy=loaded.get("misfire_policy", MisfirePolicy.RUN_LATEST),
        misfire_grace_seconds=loaded.get(
            "misfire_grace_seconds", bounds.DEFAULT_MISFIRE_GRACE_SECONDS
        ),
    )


def _policy(loaded: Mapping[str, Any]) -> RetryPolicy:
    """Return the retry policy; naming a backoff asks for exponential delays."""
    exponential = any(name in loaded for name in _BACKOFF_FIELDS)
    delays = loaded.get("retry_delays", () if exponential else _POLICY.delays_seconds)
    return RetryPolicy(
        max_attempts=loaded.get("max_attempts", _POLICY.max_attempts),
        delays_seconds=tuple(delays),
        backoff_seconds=loaded.get("backoff_seconds", _POLICY.backoff_seconds),
        backoff_factor=loaded.get("backoff_factor", _POLICY.backoff_factor),
        backoff_cap_seconds=loaded.get("backoff_cap_seconds", _POLICY.backoff_cap_seconds),
        jitter_ratio=loaded.get("retry_jitter", _POLICY.jitter_ratio),
    )


def recurrence_of(kind: str) -> Recurrence:
    """Return what kind of job a schedule makes."""
    return Recurrence.ONE_TIME if kind == ScheduleKind.ONCE else Recurrence.RECURRING


def stored_schedule(row: RowMapping) -> Schedule:
    """Return the schedule of a stored job."""
    return schedule_of(row["id"], row)


def is_stored(definition: JobDefinition, row: RowMapping) -> bool:
    """Tell whether a stored job has just this definition."""
    columns = jobs.columns_of(definition) | {
        "jitter_seconds": definition.jitter_seconds,
        "max_runs": definition.max_runs,
        "misfire_policy": definition.misfire_policy,
        "misfire_grace_seconds": definition.misfire_grace_seconds,
    }
    is_kept = all(row[name] == value for name, value in columns.items())
    is_kept = is_kept and is_same(row["payload"], dict(definition.payload))
    return is_kept and definition.schedule == stored_schedule(row)


def schedule_fields(row: RowMapping) -> dict[str, Any]:
    """Return a stored schedule in the vocabulary of the API, with times as datetimes."""
    return {
        "schedule_type": row["kind"],
        "cron_expression": row["expression"],
        "interval_seconds": row["interval_seconds"],
        "run_at": row["anchor"] if row["kind"] == ScheduleKind.ONCE else None,
        "timezone": row["timezone"],
        "starts_at": row["starts_at"],
        "ends_at": row["ends_at"],
        "jitter_seconds": row["jitter_seconds"],
    }


def fields_of(
    row: RowMapping, *, time: Callable[[datetime], str | None] = datetime.isoformat
) -> dict[str, Any]:
    """Return a stored definition as a user would write it, secrets included.

    ``time`` writes its moments.
    """
    exponential = not row["retry_delays"]
    times_as_text = {
        name: time(value) if isinstance(value, datetime) else value
        for name, value in schedule_fields(row).items()
    }
    return {
        **{name: row[name] for name in ("name", "description", "type", "payload")},
        "job_type": recurrence_of(row["kind"]),
        **times_as_text,
        "max_runs": row["max_runs"],
        **{name: row[name] for name in ("max_attempts", "retry_delays")},
        **{name: row[name] if exponential else None for name in _BACKOFF_FIELDS},
        **{name: row[name] for name in ("retry_jitter", "timeout_seconds", *_POLICIES)},
        **{name: row[name] for name in ("tags", "notify")},
    }


def replaced(row: RowMapping, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a PUT of ``body`` asks for."""
    fields = {name: value for name, value in body.items() if name not in READ_ONLY}
    fields.setdefault("type", row["type"])
    return fields


def merged(row: RowMapping, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a PATCH with ``body`` asks for (RFC 7396, at the top level).

    What excludes each other is not kept beside what is given: the other kinds of schedule, and
    the other way to space retries.
    """
    kept = fields_of(row)
    if body.get("schedule_type", row["kind"]) != row["kind"]:
        kept |= dict.fromkeys((*_OWN_FIELDS, "job_type"))
    if any(body.get(name) is not None for name in _BACKOFF_FIELDS):
        kept["retry_delays"] = None
    if body.get("retry_delays"):
        kept |= dict.fromkeys(_BACKOFF_FIELDS)
    return {**kept, **body}
