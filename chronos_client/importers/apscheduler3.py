"""Jobs of APScheduler 3, exported in the user's own process.

Its job stores hold pickles, which run code when they are read. So there is no file to import:
call :func:`export` where the scheduler lives.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from chronos_client.importers import times
from chronos_client.importers.outcome import Draft, LeftOut, Outcome, SourcePlace

#: Returns the payload of a webhook in the place of a job's function, or None to leave it out.
Target = Callable[[Any], Mapping[str, Any] | None]

#: Monday is 0 there.
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_FROM_SUNDAY = {name: (number + 1) % 7 for number, name in enumerate(_WEEKDAYS)}
_NTH = re.compile(r"(1st|2nd|3rd|4th|5th|last) +([a-z]{3})")
_WEEKDAY_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_LONGEST_GRACE = 604_800


def export(scheduler: Any, target: Target) -> Outcome:
    """Return the jobs of a scheduler. ``target`` turns each one's function into a webhook."""
    outcome = Outcome()
    for job in scheduler.get_jobs():
        with outcome.entry(SourcePlace(str(job.id)), f"job {job.id}") as draft:
            if job.pending:
                raise LeftOut("The scheduler has not started. Call start(paused=True) before.")
            payload = target(job)
            if payload is None:
                raise LeftOut(f"No target was given for {job.func_ref or job.name}.")
            draft.set(name=str(job.id), type="webhook", payload=dict(payload))
            if job.name != job.id:
                draft.describe(str(job.name))
            _read_trigger(job.trigger, draft)
            _read_policies(job, draft)
    return outcome


def _read_policies(job: Any, draft: Draft) -> None:
    draft.set(
        status="paused" if job.next_run_time is None else None,
        max_attempts=1,
        overlap_policy="skip" if job.max_instances == 1 else "allow",
    )
    if job.max_instances > 1:
        draft.lacks("max_instances", f"{job.max_instances} at once; a job has no such number.")
    grace = job.misfire_grace_time
    if grace is None:
        draft.set(misfire_policy="run_latest" if job.coalesce else "run_all")
    else:
        draft.set(misfire_policy="skip", misfire_grace_seconds=min(grace, _LONGEST_GRACE))
        if grace > _LONGEST_GRACE:
            draft.lacks("misfire_grace_time", f"Only {_LONGEST_GRACE} s of {grace} s are kept.")


def _read_trigger(trigger: Any, draft: Draft) -> None:
    match type(trigger).__name__:
        case "CronTrigger":
            _read_cron(trigger, draft)
        case "IntervalTrigger":
            times.set_interval(
                draft,
                trigger.interval.total_seconds(),
                counts_from="its start",
                starts_at=times.written(trigger.start_date),
            )
        case "DateTrigger":
            draft.set(schedule_type="once", run_at=times.written(trigger.run_date))
            return
        case kind:
            raise LeftOut(f"The trigger {kind} has no equal in a schedule.")
    if trigger.start_date and "starts_at" not in draft.fields:
        draft.set(starts_at=times.written(trigger.start_date))
    if trigger.end_date:
        draft.set(ends_at=times.written(trigger.end_date))
    if trigger.jitter:
        draft.lacks("jitter", "It draws another delay at each run. jitter_seconds is a fixed one.")


def _read_cron(trigger: Any, draft: Draft) -> None:
    fields = {each.name: str(each) for each in trigger.fields}
    for name in ("year", "week"):
        if fields.get(name, "*") != "*":
            raise LeftOut(f"Its {name} {fields[name]!r} cannot be said.")
    day, weekday = _days(fields["day"], fields["day_of_week"])
    for name in ("second", "minute", "hour", "month"):
        times.check_field(name, fields[name])
    expression = f"{fields['minute']} {fields['hour']} {day} {fields['month']} {weekday}"
    if fields["second"] != "0":
        expression = f"{fields['second']} {expression}"
    both = not day.startswith("*") and not weekday.startswith("*")
    times.set_cron(draft, expression, str(trigger.timezone), day_match="all" if both else None)


def _days(day: str, weekday: str) -> tuple[str, str]:
    """Return day of month and day of week of cron. Raises :class:`LeftOut`."""
    nth = [_NTH.fullmatch(each.strip()) for each in day.split(",")]
    weekday = weekday if weekday == "*" else ",".join(map(_weekdays, weekday.split(",")))
    if any(nth):
        if weekday != "*" or not all(nth):
            raise LeftOut(f"The days {day!r} cannot be said beside other days.")
        return "*", ",".join(_nth(match[1], match[2]) for match in nth if match)
    items = ["L" if each == "last" else each for each in day.split(",")]
    for each in items:
        if each != "L":
            times.check_field("day of month", each)
    return ",".join(items), weekday


def _nth(which: str, name: str) -> str:
    number = _FROM_SUNDAY[name.upper()]
    return f"{number}L" if which == "last" else f"{number}#{which[0]}"


def _weekdays(item: str) -> str:
    """Return the names of days of week. 0 is Monday there, and Sunday in cron."""
    match = _WEEKDAY_ITEM.fullmatch(item)
    if match is None:
        raise LeftOut(f"The days of week {item!r} cannot be said.")
    first = _weekday(match[1]) if match[1] else 0
    last = _weekday(match[2]) if match[2] else (first if match[1] and not match[3] else 6)
    return ",".join(_WEEKDAYS[first : last + 1 : int(match[3] or 1)])


def _weekday(text: str) -> int:
    return int(text) if text.isdecimal() else _WEEKDAYS.index(text.upper())
