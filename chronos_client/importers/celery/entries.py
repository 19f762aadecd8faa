"""Entries of Celery's schedules, however they are stored: a task, its options, and its times."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from chronos_client.importers import times
from chronos_client.importers.outcome import Draft, LeftOut

#: Options that change the work of a worker. Others only change the message.
_REFUSED = frozenset({
    "link", "link_error", "chord", "group_id", "root_id", "parent_id", "reply_to", "add_to_parent",
    "countdown", "eta",
})  # fmt: skip
_PERIODS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


def set_task(draft: Draft, task: Any, args: Any, kwargs: Any, options: Mapping[str, Any]) -> None:
    """Write the payload of a task. Raises :class:`LeftOut` if JSON cannot hold it."""
    if not isinstance(task, str) or not task:
        raise LeftOut("It names no task.")
    payload: dict[str, Any] = {"task": task}
    if args:
        payload["args"] = _as_json(list(args), "args")
    if kwargs:
        payload["kwargs"] = _as_json(dict(kwargs), "kwargs")
    if queue := options.get("queue"):
        payload["queue"] = str(getattr(queue, "name", queue))
    else:
        draft.note(
            "queue", "It names none. The job uses 'celery', unless a route of Celery says other."
        )
    _report_options(draft, options)
    draft.set(type="celery_task", payload=payload)


def _report_options(draft: Draft, options: Mapping[str, Any]) -> None:
    for name in sorted(options.keys() - {"queue"}):
        value = options[name]
        if value in (None, {}, "") or (name, value) == ("serializer", "json"):
            continue
        if name in _REFUSED:
            raise LeftOut(f"The option {name!r} has no equal in a job.")
        draft.lacks(f"option {name}", f"The task's message does not carry it ({value!r}).")


def _as_json(value: Any, what: str) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LeftOut(f"Its {what} cannot be written as JSON: {error}.") from error


def set_crontab(
    draft: Draft, fields: Iterable[Any], timezone: str | None, default: str | None
) -> None:
    """Write the times of a crontab of Celery: minute, hour, day, month and weekday.

    A date must match day and weekday both.
    """
    texts = [
        times.unwrapped(name, field_text(each))
        for name, each in zip(times.FIELDS, fields, strict=True)
    ]
    expression = times.classic(" ".join(texts))
    day, weekday = texts[2], texts[4]
    both = not day.startswith("*") and not weekday.startswith("*")
    times.set_cron(draft, expression, timezone, day_match="all" if both else None)
    if timezone is None:
        times.set_zone_of_machine(draft, default)


def field_text(value: Any) -> str:
    """Return a field of a crontab of Celery, which may be a number or a set, as cron's text."""
    if isinstance(value, list | tuple | set | frozenset):
        value = ",".join(map(str, sorted(value)))
    text = "".join(str(value).split())
    # Celery looks at the first three letters of a name.
    return re.sub(r"[A-Za-z]{4,}", lambda match: match[0][:3], text).upper()


def set_period(draft: Draft, every: Any, period: Any, *, starts_at: str | None) -> None:
    """Write an interval of so many periods. Raises :class:`LeftOut`."""
    if period not in _PERIODS:
        raise LeftOut(f"An interval in {period} cannot be said; seconds are the least.")
    times.set_interval(
        draft,
        every * _PERIODS[period],
        counts_from="the task's last start",
        starts_at=starts_at,
    )
