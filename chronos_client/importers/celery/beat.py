"""The schedule of ``celery beat``, exported in the application's own process.

Chronos never imports an application. Call :func:`export` where the application is configured.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chronos_client.importers import times
from chronos_client.importers.celery.entries import set_crontab, set_task
from chronos_client.importers.outcome import Draft, LeftOut, Outcome, SourcePlace

#: Beat adds this one by itself. Without it results stay for ever.
_CLEANUP = "celery.backend_cleanup"
_CLEANUP_HOUR = ("0", "4", "*", "*", "*")
_CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def export(app: Any) -> Outcome:
    """Return the jobs of a Celery application's ``beat_schedule``.

    Its tasks are imported first, as beat does, because their modules may add entries.
    """
    app.loader.import_default_modules()
    app.finalize()
    outcome = Outcome()
    schedule: Mapping[str, Any] = app.conf.beat_schedule or {}
    for name, entry in schedule.items():
        with outcome.entry(SourcePlace(str(name)), f"entry {name}") as draft:
            draft.set(name=str(name))
            _read_entry(app, entry, draft)
    if _needs_cleanup(app, schedule):
        with outcome.entry(SourcePlace(_CLEANUP), f"entry {_CLEANUP}") as draft:
            draft.set(name=_CLEANUP)
            options = _routed(app, _CLEANUP, (), {}, {"expires": 12 * 3600})
            set_task(draft, _CLEANUP, (), {}, options)
            set_crontab(draft, _CLEANUP_HOUR, _zone(app.timezone), None)
    return outcome


def _needs_cleanup(app: Any, schedule: Mapping[str, Any]) -> bool:
    """Return whether beat would add the task. Without a result backend it cleans nothing."""
    conf = app.conf
    if any(entry.get("task") == _CLEANUP for entry in schedule.values()):
        return False
    return bool(
        conf.result_backend and conf.result_expires and not app.backend.supports_autoexpire
    )


def _read_entry(app: Any, entry: Mapping[str, Any], draft: Draft) -> None:
    args, kwargs = entry.get("args") or (), entry.get("kwargs") or {}
    _refuse_lazy(args, kwargs)
    _set_times(app, entry.get("schedule"), draft, relative=bool(entry.get("relative")))
    options = _routed(app, entry.get("task"), args, kwargs, entry.get("options") or {})
    set_task(draft, entry.get("task"), args, kwargs, options)
    deadline = app.conf.beat_cron_starting_deadline
    if deadline is not None and draft.fields["schedule_type"] == "cron":
        draft.set(misfire_policy="skip", misfire_grace_seconds=deadline)


def _refuse_lazy(args: Any, kwargs: Any) -> None:
    values = [args, kwargs, *args, *kwargs.values()] if isinstance(args, list | tuple) else [args]
    if any(type(each).__name__ == "BeatLazyFunc" for each in values):
        raise LeftOut("Its arguments are computed at each start (BeatLazyFunc).")


def _routed(
    app: Any, task: Any, args: Any, kwargs: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options with the queue that the application's routes give the task."""
    if not isinstance(task, str) or options.get("exchange") or options.get("routing_key"):
        return dict(options)
    routed = app.amqp.router.route(dict(options), task, args, kwargs)
    queue = routed.get("queue") or app.conf.task_default_queue
    return {**options, "queue": getattr(queue, "name", queue)}


def _set_times(app: Any, schedule: Any, draft: Draft, *, relative: bool) -> None:
    if isinstance(schedule, int | float):
        schedule = timedelta(seconds=schedule)
    if isinstance(schedule, timedelta):
        _set_interval(draft, schedule, relative=relative)
        return
    kind = f"{type(schedule).__module__}.{type(schedule).__name__}"
    match kind:
        case "celery.schedules.crontab":
            fields = [getattr(schedule, f"_orig_{name}") for name in _CRONTAB_FIELDS]
            # The attribute is computed from the current application, unless somebody has set it.
            timezone = vars(schedule).get("tz") or app.timezone
            set_crontab(draft, fields, _zone(timezone), None)
        case "celery.schedules.schedule":
            _set_interval(draft, schedule.run_every, relative=relative or schedule.relative)
        case _:
            raise LeftOut(f"Its times come from the class {kind}, which decides by itself.")


def _set_interval(draft: Draft, every: timedelta, *, relative: bool) -> None:
    times.set_interval(draft, every.total_seconds(), counts_from="the task's last start")
    if relative:
        draft.lacks("relative", "The interval is not rounded to the clock. Set starts_at.")


def _zone(timezone: Any) -> str | None:
    """Return the name of a zone, or None for the machine's zone, which may have none."""
    return (
        getattr(timezone, "key", None)
        or getattr(timezone, "zone", None)
        or ("UTC" if str(timezone) == "UTC" else None)
    )
