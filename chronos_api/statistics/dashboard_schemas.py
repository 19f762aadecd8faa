"""The figures of a workspace, and their course."""

from typing import Any

from marshmallow import Schema, fields

from chronos_api.fields.base import Strict
from chronos_api.fields.fields import Instant, OneOf
from chronos_api.statistics.dashboard import Period


def _count(description: str) -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": description, "minimum": 0})


def _maybe(kind: type[fields.Field[Any]], description: str) -> Any:
    return kind(required=True, allow_none=True, metadata={"description": description})


class PeriodQuery(Strict):
    """How far back to look."""

    period = OneOf(
        Period,
        load_default=Period.DAY,
        metadata={"description": "Hours or days until now", "default": Period.DAY},
    )


class Stats(Schema):
    """How a workspace stands, and how its executions of a period ended."""

    period = OneOf(Period, required=True)
    since = Instant(required=True, metadata={"description": "The period's first minute"})
    as_of = Instant(
        required=True,
        metadata={"description": "When this was computed; it is kept for some seconds"},
    )
    total = _count("Jobs")
    active = _count("Jobs whose schedule is followed")
    paused = _count("Jobs that are paused")
    completed = _count("Jobs with nothing left to run")
    queued = _count("Executions that no worker has started, those planned a moment ahead included")
    running = _count("Executions under way")
    retrying = _count("Executions that wait for another attempt")
    succeeded = _count("Executions of the period that succeeded")
    failed = _count("Executions of the period that failed for good")
    cancelled = _count("Executions of the period that were cancelled")
    skipped = _count("Records of the period of occurrences that did not run")
    success_rate = _maybe(fields.Float, "succeeded / (succeeded + failed), from 0 to 1")
    average_duration_ms = _maybe(fields.Float, "Of the last attempts of what succeeded or failed")
    drift_p50_ms = _maybe(
        fields.Integer, "From the scheduled instant to the start: half were at most as late"
    )
    drift_p99_ms = _maybe(fields.Integer, "99 % were at most as late")
    drift_max_ms = _maybe(fields.Integer, "The latest start")
    queue_depth = _count("Executions that are due and that no worker has started")
    queue_age_seconds = fields.Float(
        required=True, metadata={"description": "For how long the first of them has been due"}
    )
    queue_exact = fields.Boolean(
        required=True,
        metadata={
            "description": "False if the installation has so many unfinished executions that "
            "queued, running, retrying and queue_depth count the most overdue of them only"
        },
    )
    live_workers = _count("Worker processes of the installation that are alive")
    live_schedulers = _count("Scheduler processes of the installation that are alive")


class TrendBucket(Schema):
    """How the executions that ended in one span of time ended."""

    at = Instant(required=True, metadata={"description": "Where the span begins"})
    succeeded = _count("Succeeded")
    failed = _count("Failed for good")
    cancelled = _count("Cancelled")
    skipped = _count("Did not run")
    total = _count("All of them")
    average_duration_ms = _maybe(fields.Float, "Of what succeeded or failed")


class Trend(Schema):
    """How the executions of a period ended, in buckets without gaps; the last one is open."""

    period = OneOf(Period, required=True)
    bucket_seconds = _count("The length of each bucket")
    since = Instant(required=True)
    as_of = Instant(required=True)
    buckets = fields.List(fields.Nested(TrendBucket), required=True)
