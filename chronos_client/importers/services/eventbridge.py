"""Schedules of Amazon EventBridge Scheduler, from ``aws scheduler get-schedule``.

Its targets are resources of AWS. The user names a URL for each one that becomes a job.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from chronos_client.importers import documents, times
from chronos_client.importers.http.request import address
from chronos_client.importers.outcome import (
    Draft,
    LeftOut,
    Outcome,
    SourcePlace,
    refuse_unknown,
)

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_AT = re.compile(r"at\(([\d:T-]+)\)")
_CRON = re.compile(r"cron\((.*)\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_WEEKDAY = re.compile(r"(?<![\w#/])([1-7])(?=$|[-,#L/])")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NTH = re.compile(r"(\w+)#([1-5])")
_LAST = re.compile(r"(\w+)L")
#: Members that the importer reads, and those that only say who made the schedule and when.
_KNOWN = (
    "Name", "Description", "ScheduleExpression", "ScheduleExpressionTimezone", "StartDate",
    "EndDate", "State", "Target", "FlexibleTimeWindow", "Arn", "GroupName", "CreationDate",
    "LastModificationDate", "KmsKeyArn", "EventBusName", "RoleArn", "ManagedBy", "CreatedBy",
    "ResponseMetadata", "ActionAfterCompletion",
)  # fmt: skip
_KNOWN_OF_TARGET = ("Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig")
_LONGEST_JITTER = 3600
_MOST_ATTEMPTS = 50


def read(text: str, *, targets: Mapping[str, str]) -> Outcome:
    """Return the jobs of schedules. ``targets`` has URLs by the ARN of a target, or by name."""
    outcome = Outcome()
    found = documents.entries(documents.read_json(text), "Schedules", "Rules")
    for number, each in documents.mappings(found):
        name = str(each.get("Name") or f"schedule {number}")
        with outcome.entry(SourcePlace(name), f"schedule {name}") as draft:
            _check_form(each)
            draft.set(name=name, status="paused" if each.get("State") == "DISABLED" else None)
            draft.describe(each.get("Description"))
            _read_target(each, targets, draft)
            _read_times(each, draft)
            refuse_unknown(each, _KNOWN, draft)
    return outcome


def _check_form(schedule: dict[str, Any]) -> None:
    """Raise :class:`LeftOut` for an object that says no times."""
    if schedule.get("ScheduleExpression"):
        return
    if schedule.get("EventPattern"):
        raise LeftOut("It waits for events, and has no times.")
    raise LeftOut(
        "It has no ScheduleExpression. list-schedules leaves it out; give the answer of aws "
        "scheduler get-schedule for each schedule."
    )


def _read_target(schedule: dict[str, Any], targets: Mapping[str, str], draft: Draft) -> None:
    target = schedule.get("Target") or {}
    arn = str(target.get("Arn") or schedule.get("Arn") or "")
    url = targets.get(arn) or targets.get(str(schedule.get("Name")))
    if url is None:
        raise LeftOut(
            f"Its target {arn or 'without a name'} is not a URL. Give --target "
            f"{schedule.get('Name')}=URL."
        )
    payload: dict[str, Any] = {"url": address(url), "method": "POST"}
    if content := target.get("Input"):
        if "<aws.scheduler." in content:
            raise LeftOut("Its input has values that AWS fills in (<aws.scheduler...>).")
        try:
            payload["body"] = json.loads(content)
        except ValueError:
            payload["body"] = content
    draft.set(type="webhook", payload=payload)
    _read_retries(target.get("RetryPolicy") or {}, draft)
    if target.get("DeadLetterConfig"):
        draft.lacks("DeadLetterConfig", "A failed run stays in the history. notify tells people.")
    refuse_unknown(target, _KNOWN_OF_TARGET, draft)
    if schedule.get("ActionAfterCompletion") == "DELETE":
        draft.note("ActionAfterCompletion", "The job stays in the list when it is completed.")


def _read_retries(policy: dict[str, Any], draft: Draft) -> None:
    retries = policy.get("MaximumRetryAttempts", 185)
    draft.set(max_attempts=min(retries + 1, _MOST_ATTEMPTS))
    if retries + 1 > _MOST_ATTEMPTS:
        draft.lacks(
            "MaximumRetryAttempts", f"AWS tries {retries} more times; {_MOST_ATTEMPTS} in all can."
        )
    if retries:
        age = policy.get("MaximumEventAgeInSeconds", 86_400)
        draft.lacks("MaximumEventAgeInSeconds", f"A job does not give up after {age} s.")
        draft.note(
            "retries", "AWS repeats with growing delays of its own. retry_delays sets the job's."
        )


def _read_times(schedule: dict[str, Any], draft: Draft) -> None:
    zone = schedule.get("ScheduleExpressionTimezone") or "UTC"
    expression = str(schedule.get("ScheduleExpression", "")).strip()
    if rate := _RATE.fullmatch(expression):
        seconds = int(rate[1]) * _UNITS[rate[2]]
        starts_at = _bound(schedule, "StartDate")
        times.set_interval(draft, seconds, counts_from="its creation", starts_at=starts_at)
    elif moment := _AT.fullmatch(expression):
        local = times.instant(moment[1], "at(...)").replace(tzinfo=_zone(zone))
        draft.set(schedule_type="once", run_at=times.written(local))
    elif cron := _CRON.fullmatch(expression):
        times.set_cron(draft, _expression(cron[1]), zone)
    else:
        raise LeftOut(f"{expression!r} is not cron(...), rate(...) or at(...).")
    draft.set(starts_at=_bound(schedule, "StartDate"), ends_at=_bound(schedule, "EndDate"))
    _read_window(schedule.get("FlexibleTimeWindow") or {}, draft)


def _bound(schedule: dict[str, Any], name: str) -> str | None:
    value = schedule.get(name)
    return times.written(times.instant(str(value), name)) if value else None


def _read_window(window: dict[str, Any], draft: Draft) -> None:
    seconds = 60 * (window.get("MaximumWindowInMinutes") or 0)
    if window.get("Mode") == "FLEXIBLE" and seconds:
        draft.set(jitter_seconds=min(seconds, _LONGEST_JITTER))
        draft.note("FlexibleTimeWindow", "The job's delay within the window is always the same.")
        if seconds > _LONGEST_JITTER:
            draft.lacks(
                "FlexibleTimeWindow", f"{seconds} s become {_LONGEST_JITTER} s, the most there is."
            )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as error:
        raise LeftOut(f"The time zone {name!r} is not known.") from error


def _expression(text: str) -> str:
    """Return five fields for the six of AWS. The last one there is the year."""
    fields = text.split()
    if len(fields) != 6:  # noqa: PLR2004 - AWS has six
        raise LeftOut(f"cron({text}) does not have six fields.")
    minute, hour, day, month, weekday, year = fields
    if year != "*":
        raise LeftOut(f"The year {year!r} cannot be said. Set starts_at and ends_at.")
    for name, each in (("minute", minute), ("hour", hour), ("month", month)):
        times.check_field(name, each)
    return f"{minute} {hour} {_day(day)} {month} {_weekday(weekday)}"


def _day(text: str) -> str:
    if text != "?" and not re.fullmatch(r"L|LW|\d{1,2}W", text):
        times.check_field("day of month", text)
    return text.replace("?", "*")


def _weekday(text: str) -> str:
    """Return a day of week with names, because AWS counts from Sunday = 1."""
    if text in {"?", "*"}:
        return "*"
    if text == "L":
        return "SAT"
    named = _WEEKDAY.sub(lambda match: _WEEKDAYS[int(match[1]) - 1], text.upper())
    for item in named.split(","):
        special = _NTH.fullmatch(item) or _LAST.fullmatch(item)
        times.check_field("day of week", special[1] if special else item)
    return named
