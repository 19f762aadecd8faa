"""Entries of RedBeat: their definitions as JSON, or read from Redis in the user's own process."""

import json
from collections.abc import Iterator
from typing import Any

from chronos_client.importers import documents, times
from chronos_client.importers.celery.entries import set_crontab, set_task
from chronos_client.importers.outcome import Draft, LeftOut, Outcome, SourcePlace, expect

_CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
#: Keys of RedBeat that hold no entry.
_OTHERS = ("schedule", "statics", "lock")


def export(client: Any, *, prefix: str = "redbeat:", timezone: str | None = None) -> Outcome:
    """Return the jobs of the entries in Redis. ``timezone`` is the Celery application's zone."""
    found: dict[str, Any] = {}
    for raw in client.scan_iter(match=f"{prefix}*", count=500):
        key = raw.decode() if isinstance(raw, bytes) else raw
        if key.removeprefix(prefix).strip(":") not in _OTHERS:
            value = client.hget(key, "definition")
            found[key] = value.decode() if isinstance(value, bytes) else value
    return _read_all(iter(sorted(found.items())), timezone)


def read(text: str, *, timezone: str | None = None) -> Outcome:
    """Return the jobs of an object of definitions by their keys, or of a list of definitions."""
    value = documents.read_json(text)
    if isinstance(value, dict) and "task" not in value:
        return _read_all(iter(value.items()), timezone)
    found = documents.entries(value)
    return _read_all(((f"entry {number}", each) for number, each in enumerate(found, 1)), timezone)


def _read_all(found: Iterator[tuple[str, Any]], timezone: str | None) -> Outcome:
    outcome = Outcome()
    for key, value in found:
        with outcome.entry(SourcePlace(key), f"entry {key}") as draft:
            _read_entry(key, _definition(value), draft, timezone)
    return outcome


def _definition(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and "definition" in value:
        value = value["definition"]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise LeftOut(f"Its definition is not JSON: {error}.") from error
    definition: dict[str, Any] = expect(value, dict, "definition")
    return definition


def _read_entry(key: str, definition: dict[str, Any], draft: Draft, timezone: str | None) -> None:
    draft.set(
        name=str(definition.get("name") or key),
        status=None if definition.get("enabled", True) else "paused",
    )
    schedule = expect(definition.get("schedule"), dict, "schedule")
    match schedule.get("__type__"):
        case "crontab":
            fields = [schedule.get(name, "*") for name in _CRONTAB_FIELDS]
            set_crontab(draft, fields, None, timezone)
        case "interval":
            every = expect(schedule.get("every"), (int, float), "every")
            times.set_interval(draft, every, counts_from="the task's last start")
            if schedule.get("relative"):
                draft.lacks("relative", "The interval is not rounded to the clock. Set starts_at.")
        case kind:
            raise LeftOut(f"Its times are of the type {kind!r}, which is no cron or interval.")
    set_task(
        draft,
        definition.get("task"),
        definition.get("args") or [],
        definition.get("kwargs") or {},
        definition.get("options") or {},
    )
