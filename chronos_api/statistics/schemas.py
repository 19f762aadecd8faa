"""The figures of a workspace and of a job, and their course."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from chronos_api.fields.base import Answer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import Digits, Instant, Name, OneOf, Text
from chronos_api.statistics import trend
from chronos_api.statistics.dashboard import Period
from chronos_common import clock
from chronos_common.domain.jobs import MAX_TAG_LENGTH
from chronos_common.domain.statuses import JobStatus, Status
from chronos_common.storage.executions.filters import MAX_LOOKED_AT as MAX_EXECUTIONS
from chronos_common.storage.jobs.tags import MAX_LOOKED_AT

#: Executions that the figures of a job are made of.
MAX_CONSIDERED = 500
#: Tags of one answer.
MAX_TAGS = 1000


def _count(description: str, *, attribute: str | None = None) -> fields.Integer:
    metadata = {"description": description, "minimum": 0}
    return fields.Integer(attribute=attribute, metadata=metadata)


def _maybe(kind: type[fields.Field[Any]], description: str) -> Any:
    return kind(allow_none=True, metadata={"description": description})


def _jobs(description: str, status: JobStatus) -> fields.Integer:
    return computed(_count(description), lambda stats: stats.jobs.get(status, 0))


def _ended(description: str, status: Status) -> fields.Integer:
    return computed(_count(description), lambda stats: stats.executions.get(status, 0))


def _alive(description: str, kind: str) -> fields.Integer:
    return computed(_count(description), lambda stats: stats.alive.get(kind, 0))


class TagsQuery(Strict):
    """Which tags to list."""

    prefix = Text(
        longest=MAX_TAG_LENGTH,
        composed=True,
        load_default="",
        metadata={"description": "The beginning of the tags, in small or capital letters"},
    )
    limit = Digits(
        low=1, high=MAX_TAGS, load_default=100, metadata={"description": "How many at most"}
    )


class TagAnswer(ValueAnswer):
    """A tag, and how many jobs have it."""

    tag = fields.String()
    jobs = _count("Jobs with this tag")


class Tags(ValueAnswer):
    """The tags of a workspace's jobs, the most frequent first."""

    items = fields.List(fields.Nested(TagAnswer))
    is_exact = fields.Boolean(
        metadata={
            "description": f"false if there are more than {MAX_LOOKED_AT} jobs: only the newest "
            "ones are counted"
        }
    )


class PeriodQuery(Strict):
    """How far back to look."""

    period = OneOf(
        Period, load_default=Period.DAY, metadata={"description": "Hours or days until now"}
    )


class TrendQuery(PeriodQuery):
    """Which span of time to look at, and the executions of which jobs."""

    since = Instant(
        metadata={"description": "Where the span begins. With it, the period does not count"}
    )
    until = Instant(metadata={"description": "Where the span ends. Now, if it is left out"})
    job_id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={"description": "The latest executions of this job alone"},
    )
    tag = Name(
        longest=MAX_TAG_LENGTH,
        metadata={"description": "The latest executions of jobs with this tag alone"},
    )

    @validates_schema
    def _check_span(self, data: dict[str, Any], **_: object) -> None:
        if "since" not in data:
            if "until" in data:
                raise ValidationError("Give it together with since, or leave it out.", "until")
            return
        length = data.get("until", clock.now()) - data["since"]
        if not timedelta(0) < length <= trend.LONGEST_SPAN:
            raise ValidationError(
                f"Must be before until, or before now, by at most {trend.LONGEST_SPAN.days} days.",
                "since",
            )


class PreviousStats(ValueAnswer):
    """How the executions of the period before ended, which is as long."""

    since = Instant()
    until = Instant()
    succeeded = _ended("Executions that succeeded", Status.SUCCEEDED)
    failed = _ended("Executions that failed for good", Status.FAILED)
    cancelled = _ended("Executions that were cancelled", Status.CANCELLED)
    skipped = _ended("Records of occurrences that did not run", Status.SKIPPED)
    success_rate = _maybe(fields.Float, "succeeded / (succeeded + failed), from 0 to 1")
    average_duration_ms = _maybe(
        fields.Float, "Of the last attempts of executions that succeeded or failed"
    )
    drift_p50_ms = computed(
        _maybe(fields.Integer, "Half were at most as late"), lambda sums: sums.drift(50)
    )
    drift_p99_ms = computed(
        _maybe(fields.Integer, "99 % were at most as late"), lambda sums: sums.drift(99)
    )


class DriftBucketAnswer(ValueAnswer):
    """How many executions started so late."""

    from_ms = _count("From so many milliseconds on")
    below_ms = _count("To fewer than so many")
    executions = _count("Executions of the period")


class Stats(ValueAnswer):
    """How a workspace stands, and how its executions of a period ended."""

    period = OneOf(Period)
    since = Instant(metadata={"description": "The period's first minute"})
    as_of = Instant(
        metadata={"description": "When this was computed. It is kept for some seconds"}
    )
    total = computed(_count("Jobs"), lambda stats: sum(stats.jobs.values()))
    active = _jobs("Jobs whose schedule is followed", JobStatus.ACTIVE)
    paused = _jobs("Jobs that are paused", JobStatus.PAUSED)
    completed = _jobs("Jobs with nothing left to run", JobStatus.COMPLETED)
    queued = _count(
        "Executions that no worker has started, those planned a moment ahead included",
        attribute="unfinished.queued",
    )
    running = _count("Executions under way", attribute="unfinished.running")
    retrying = _count("Executions that wait for another attempt", attribute="unfinished.retrying")
    succeeded = _ended("Executions of the period that succeeded", Status.SUCCEEDED)
    failed = _ended("Executions of the period that failed for good", Status.FAILED)
    cancelled = _ended("Executions of the period that were cancelled", Status.CANCELLED)
    skipped = _ended("Records of the period of occurrences that did not run", Status.SKIPPED)
    success_rate = _maybe(fields.Float, "succeeded / (succeeded + failed), from 0 to 1")
    average_duration_ms = _maybe(
        fields.Float, "Of the last attempts of executions that succeeded or failed"
    )
    drift_p50_ms = computed(
        _maybe(
            fields.Integer, "From the scheduled instant to the start: half were at most as late"
        ),
        lambda stats: stats.drift(50),
    )
    drift_p99_ms = computed(
        _maybe(fields.Integer, "99 % were at most as late"), lambda stats: stats.drift(99)
    )
    drift_max_ms = _maybe(fields.Integer, "The longest delay of a start")
    drift_histogram = fields.List(
        fields.Nested(DriftBucketAnswer),
        metadata={"description": "All of them, in steps that grow. Empty steps are left out"},
    )
    previous = fields.Nested(PreviousStats)
    queue_depth = _count(
        "Executions that are due and that no worker has started", attribute="unfinished.waiting"
    )
    queue_age_seconds = fields.Float(
        metadata={"description": "For how long the first of them has been due"}
    )
    queue_exact = fields.Boolean(
        attribute="unfinished.exact",
        metadata={
            "description": "False if the installation has so many unfinished executions that "
            "queued, running, retrying and queue_depth count the most overdue of them only"
        },
    )
    live_workers = _alive("Worker processes of the installation that are alive", "worker")
    live_schedulers = _alive("Scheduler processes of the installation that are alive", "scheduler")


class TrendBucket(ValueAnswer):
    """How the executions that ended in one span of time ended."""

    at = Instant(metadata={"description": "Where the span begins"})
    succeeded = _ended("Succeeded", Status.SUCCEEDED)
    failed = _ended("Failed for good", Status.FAILED)
    cancelled = _ended("Cancelled", Status.CANCELLED)
    skipped = _ended("Did not run", Status.SKIPPED)
    total = computed(_count("All of them"), lambda sums: sum(sums.executions.values()))
    average_duration_ms = _maybe(fields.Float, "Of executions that succeeded or failed")
    drift_p50_ms = computed(
        _maybe(fields.Integer, "Half started at most so late"), lambda sums: sums.drift(50)
    )
    drift_p99_ms = computed(
        _maybe(fields.Integer, "99 % started at most so late"), lambda sums: sums.drift(99)
    )
    drift_max_ms = _maybe(fields.Integer, "The longest delay of a start")


class TrendAnswer(ValueAnswer):
    """How the executions of a span of time ended, in buckets without gaps."""

    period = OneOf(Period, allow_none=True, metadata={"description": "null if since was given"})
    bucket_seconds = _count("The length of each bucket")
    since = Instant(attribute="span.since")
    until = Instant(
        attribute="span.until",
        metadata={"description": "The end of the last bucket, which is open until then"},
    )
    as_of = Instant()
    is_exact = fields.Boolean(
        metadata={
            "description": f"false if a job or tag has more executions there than the latest "
            f"{MAX_EXECUTIONS}, which are looked at"
        }
    )
    buckets = fields.List(fields.Nested(TrendBucket))


class StatisticsQuery(Strict):
    """Over how many of the job's executions."""

    limit = Digits(
        low=1,
        high=MAX_CONSIDERED,
        load_default=100,
        metadata={"description": "How many of the latest executions to look at"},
    )


class OutcomeAnswer(Answer):
    """How one execution ended, or where it stands."""

    id = fields.UUID()
    status = OneOf(Status)
    scheduled_for = Instant()
    started_at = Instant(allow_none=True)
    finished_at = Instant(allow_none=True)
    duration_ms = fields.Integer(allow_none=True)
    http_status = fields.Integer(allow_none=True)


class JobStatistics(ValueAnswer):
    """The figures of a job, over its latest executions."""

    job_id = fields.UUID()
    considered = fields.Integer(
        metadata={"description": "How many executions the figures are made of"}
    )
    since = Instant(
        allow_none=True, metadata={"description": "When the first of them was scheduled"}
    )
    executions = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "How many of them have each status"},
    )
    success_rate = fields.Float(
        allow_none=True, metadata={"description": "succeeded / (succeeded + failed), from 0 to 1"}
    )
    average_duration_ms = fields.Float(
        allow_none=True, metadata={"description": "Of executions that succeeded or failed"}
    )
    p95_duration_ms = fields.Integer(
        allow_none=True, metadata={"description": "95 % took at most this long"}
    )
    latest = fields.List(
        fields.Nested(OutcomeAnswer), metadata={"description": "The latest 20, the latest first"}
    )
    next_runs = fields.List(Instant())
