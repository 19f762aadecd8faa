"""Periodic tasks of django-celery-beat, from ``manage.py dumpdata django_celery_beat``."""

import json
from typing import Any

from chronos_client.importers import documents, times
from chronos_client.importers.celery.entries import set_crontab, set_period, set_task
from chronos_client.importers.outcome import Draft, LeftOut, Outcome, SourcePlace, expect

_APP = "django_celery_beat."
_CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_KINDS = ("crontab", "interval", "clocked", "solar")
_OPTIONS = ("queue", "exchange", "routing_key", "priority")


def read(text: str, *, timezone: str | None = None) -> Outcome:
    """Return the jobs of the periodic tasks. ``timezone`` is for crontabs without one."""
    schedules: dict[tuple[str, Any], dict[str, Any]] = {}
    tasks: list[dict[str, Any]] = []
    for _, row in documents.mappings(documents.entries(documents.read_json(text))):
        model, fields = str(row.get("model", "")), row.get("fields")
        if not model.startswith(_APP) or not isinstance(fields, dict):
            continue
        kind = model.removeprefix(_APP).removesuffix("schedule")
        if kind == "periodictask":
            tasks.append(fields)
        elif isinstance(row.get("pk"), int | str):
            schedules[kind, row["pk"]] = fields
    outcome = Outcome()
    for number, fields in enumerate(tasks, start=1):
        name = str(fields.get("name") or f"periodic task {number}")
        with outcome.entry(SourcePlace(name), f"periodic task {name}") as draft:
            draft.set(name=name)
            _read_task(fields, schedules, draft, timezone)
    return outcome


def _read_task(
    fields: dict[str, Any],
    schedules: dict[tuple[str, Any], dict[str, Any]],
    draft: Draft,
    timezone: str | None,
) -> None:
    kind = next((each for each in _KINDS if fields.get(each) is not None), None)
    if kind is None:
        raise LeftOut("It has no schedule.")
    schedule = schedules.get((kind, fields[kind]))
    if schedule is None:
        raise LeftOut(f"The file lacks its {kind} schedule {fields[kind]!r}.")
    _set_times(kind, schedule, fields, draft, timezone)
    options = {name: fields.get(name) for name in _OPTIONS}
    options["headers"] = _json_of(fields.get("headers"), {}, "headers")
    options["expires"] = fields.get("expire_seconds")
    args, kwargs = (
        _json_of(fields.get("args"), [], "args"),
        _json_of(fields.get("kwargs"), {}, "kwargs"),
    )
    set_task(draft, fields.get("task"), args, kwargs, options)
    draft.describe(fields.get("description"))
    draft.set(
        status=None if fields.get("enabled", True) else "paused",
        max_runs=1 if fields.get("one_off") and kind != "clocked" else None,
        starts_at=_instant(fields, "start_time"),
        ends_at=_instant(fields, "expires"),
    )


def _set_times(
    kind: str,
    schedule: dict[str, Any],
    fields: dict[str, Any],
    draft: Draft,
    timezone: str | None,
) -> None:
    match kind:
        case "crontab":
            cron = [schedule.get(name, "*") for name in _CRONTAB_FIELDS]
            set_crontab(draft, cron, schedule.get("timezone"), timezone)
        case "interval":
            every = expect(schedule.get("every"), int, "every")
            starts_at = _instant(fields, "start_time")
            set_period(draft, every, schedule.get("period"), starts_at=starts_at)
        case "clocked":
            if fields.get("total_run_count"):
                raise LeftOut("It was for a single instant, and has run.")
            moment = times.instant(str(schedule.get("clocked_time")), "clocked_time")
            draft.set(schedule_type="once", run_at=times.written(moment))
        case _:
            raise LeftOut("Its times follow the sun (solar).")


def _instant(fields: dict[str, Any], name: str) -> str | None:
    text = fields.get(name)
    return times.written(times.instant(text, name)) if text else None


def _json_of(value: Any, default: Any, what: str) -> Any:
    """Return the value of a column that holds JSON as a text. Raises :class:`LeftOut`."""
    if value in (None, ""):
        return default
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise LeftOut(f"Its {what} are not JSON: {value!r}.") from error
    return expect(found, type(default), what)
