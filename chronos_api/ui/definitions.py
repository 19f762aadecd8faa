"""The definition of a job in plain words: for its page, and for the choices of its form."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chronos_api.audit.service import LEFT_OUT
from chronos_api.http.json_body import made
from chronos_api.jobs.definition.payload_schemas import JobType
from chronos_api.jobs.schemas import JobFields
from chronos_api.ui import wording
from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.jobs import is_same_json
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.schedules.misfires import MisfirePolicy

DAY_MATCHES: Final[Mapping[str, str]] = {
    DayMatch.ANY: "one of them, as in crontab",
    DayMatch.ALL: "both",
}

#: The types of jobs that have a name of their own here, in the order of a form.
TYPES: Final[Mapping[str, str]] = {
    "webhook": "HTTP call",
    "email": "E-mail",
    "celery_task": "Celery task",
}

OVERLAPS: Final[Mapping[str, str]] = {
    OverlapPolicy.ALLOW: "start it beside the other",
    OverlapPolicy.SKIP: "leave it out",
    OverlapPolicy.QUEUE_ONE: "let one wait",
    OverlapPolicy.CANCEL_RUNNING: "cancel the other, and start it",
}

MISFIRES: Final[Mapping[str, str]] = {
    MisfirePolicy.RUN_LATEST: "run the latest one",
    MisfirePolicy.RUN_ALL: "run all of them",
    MisfirePolicy.SKIP: "run none",
}


def types() -> dict[str, str]:
    """Return the names of all types, also of those without words of their own."""
    return {**TYPES, **{each: each.replace("_", " ") for each in JobType if each not in TYPES}}


@dataclass(frozen=True, slots=True)
class Fact:
    """A part of a definition: its name, and its value in words."""

    name: str
    value: str


def seconds(value: float) -> str:
    """Return a number of seconds as people say it: ``1.5 s``, ``1 min 30 s``, ``2 h``."""
    if value < 1 or not float(value).is_integer():
        return f"{value:g} s"
    return wording.span(timedelta(seconds=value))


def _waits(job: Mapping[str, Any]) -> str:
    """Return the waits between attempts: a list, or a beginning that grows."""
    if job["retry_delays"]:
        waits = ", ".join(seconds(each) for each in job["retry_delays"])
    else:
        first, cap = seconds(job["backoff_seconds"]), seconds(job["backoff_cap_seconds"])
        waits = f"{first}, then {job['backoff_factor']:g} times as long each, up to {cap}"
    return f"{waits}, and up to {job['retry_jitter']:.0%} more" if job["retry_jitter"] else waits


def _notified(addresses: Sequence[str] | None) -> str:
    if addresses is None:
        return "its creator"
    return ", ".join(addresses) or "nobody"


#: The fields in the order of the form, with their names and how their values read.
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "cron_expression": ("Cron expression", str),
    "interval_seconds": ("Runs every", seconds),
    "timezone": ("Time zone", str),
    "day_match": ("If day and weekday are given", lambda value: DAY_MATCHES[value]),
    "jitter_seconds": ("Random delay of up to", seconds),
    "max_runs": ("Runs at most", wording.number),
    "shadow": ("In shadow", lambda _: "runs are only recorded, and nothing is sent"),
    "overlap_policy": ("If an earlier run goes on", lambda value: OVERLAPS[value]),
    "misfire_policy": ("If runs were missed", lambda value: MISFIRES[value]),
    "misfire_grace_seconds": ("Missed if later than", seconds),
    "max_attempts": ("Attempts", str),
    "timeout_seconds": ("An attempt may take", seconds),
}


#: Fields that stand elsewhere on the page of a job, or together with others.
_ELSEWHERE: Final = frozenset(
    {
        *("name", "description", "type", "payload", "status", "tags", "notify"),
        *("schedule_type", "job_type", "run_at", "starts_at", "ends_at"),
        *("retry_delays", "backoff_seconds", "backoff_factor", "backoff_cap_seconds"),
        "retry_jitter",
    }
)

#: Fields without words of their own here.
_FURTHER: Final = tuple(
    name for name in made(JobFields).fields if name not in _FIELDS and name not in _ELSEWHERE
)


def name_of(field: str) -> str:
    """Return a field's name for people."""
    return _FIELDS[field][0] if field in _FIELDS else field.replace("_", " ").capitalize()


def facts(job: Mapping[str, Any], further: Sequence[str] = _FURTHER) -> Iterator[Fact]:
    """Yield the parts of a job's definition, whose snapshot is given.

    ``further`` are fields without words of their own. Their values are shown as they are.
    """
    for field, (name, read) in _FIELDS.items():
        # No job has an interval, a jitter or a number of runs that is 0.
        if job[field] and (field, job[field]) != ("day_match", DayMatch.ANY):
            yield Fact(name, read(job[field]))
    if job["max_attempts"] > 1:
        yield Fact("Waits between attempts", _waits(job))
    yield Fact("Told of failures", _notified(job["notify"]))
    for field in further:
        if job[field]:
            yield Fact(name_of(field), str(job[field]))


#: What members and Chronos do to jobs, by the actions of the audit log.
ACTIONS: Final[Mapping[str, str]] = {
    "job.create": "created it",
    "job.update": "edited it",
    "job.pause": "paused it",
    "job.resume": "resumed it",
    "job.delete": "deleted it",
    "job.restore": "restored it",
    "job.execute": "ran it",
}


def action_of(entry: Mapping[str, Any]) -> str:
    """Return in words what an entry of the audit log did to a job."""
    action: str = entry["action"]
    return ACTIONS.get(action, action.partition(".")[2].replace("_", " "))


@dataclass(frozen=True, slots=True)
class ChangedField:
    """A field of two states of a job that differ, with its values in words."""

    name: str
    before: str
    after: str


def fields_changed_in(entry: Mapping[str, Any]) -> list[ChangedField]:
    """Return the fields that an entry of the audit log changed, if it is of a changed job."""
    details = entry["details"]
    if "after" not in details:
        return []
    return list(changed_fields(details["before"], details["after"]))


#: A payload is compared member by member down to this depth, so that a change is easy to find.
_MEMBER_DEPTH = 4


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ChangedField]:
    """Yield the fields that differ between two states of a job, without its version."""
    for field in dict.fromkeys([*before, *after]):
        if field == "version":
            continue
        one, other = before.get(field), after.get(field)
        if field == "payload":
            yield from _changed_members("Payload", one, other, depth=_MEMBER_DEPTH)
        elif not is_same_json(one, other):
            yield ChangedField(name_of(field), _value(field, one), _value(field, other))


def _changed_members(name: str, one: Any, other: Any, *, depth: int) -> Iterator[ChangedField]:
    if depth and isinstance(one, Mapping) and isinstance(other, Mapping):
        for member in dict.fromkeys([*one, *other]):
            place = f"{name}: {member}" if depth == _MEMBER_DEPTH else f"{name}.{member}"
            yield from _changed_members(place, one.get(member), other.get(member), depth=depth - 1)
    elif not is_same_json(one, other):
        yield ChangedField(name, _json(one), _json(other))


def _value(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field in _FIELDS and value not in (None, LEFT_OUT):
        return _FIELDS[field][1](value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or wording.NONE
    return _json(value)


def _json(value: Any) -> str:
    """Return a value as JSON, or a text as it is."""
    if value is None or value == "":
        return wording.NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
