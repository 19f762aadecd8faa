"""Requests and answers of other schedulers, for the documentation."""

from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any

from marshmallow import fields

from chronos_api.compat.translation import AT_LEAST_ONCE
from chronos_api.fields.base import Answer, Strict, computed
from chronos_api.fields.fields import Digits, FreeObject, Instant, Name, OneOf, Text, in_any_case
from chronos_api.fields.pagination import MAX_DEPTH, MAX_LIMIT
from chronos_api.jobs.schemas import MAX_EXPRESSION_LENGTH, JobFields, JobState
from chronos_common import clock
from chronos_common.domain import jobs as bounds
from chronos_common.domain.payloads import TYPES
from chronos_common.domain.schedules.schedule import ScheduleKind
from chronos_common.domain.statuses import JobStatus, Status

# A pattern, since generators of clients make one name of enum values that differ in case only.
_TYPES = {"pattern": f"^({'|'.join(map(in_any_case, TYPES))})$", "examples": ["WEBHOOK"]}

#: The states of an execution in the words of 002, and in a new one for an occurrence that did
#: not run.
EXECUTION_STATES: Mapping[str, str] = {
    Status.QUEUED: "PENDING",
    Status.RETRYING: "PENDING",
    Status.RUNNING: "RUNNING",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "CANCELLED",
    Status.SKIPPED: "SKIPPED",
}

_ANY_NAME = {"description": "Follows from the URL if it is left out"}


class ChangedJob(JobFields):
    """Some fields of a job, in the words of 002, of 003 or of /api/v1/jobs."""

    name = Name(longest=bounds.MAX_NAME_LENGTH)
    type = Text(  # type: ignore[assignment] # another spelling of the same types
        longest=20, allow_none=True, metadata={**_TYPES, "default": "WEBHOOK"}
    )
    payload = FreeObject(
        metadata={"description": "Without a url, it goes as JSON to the default webhook"}
    )
    schedule = Text(
        longest=MAX_EXPRESSION_LENGTH,
        allow_none=True,
        metadata={
            "description": "A cron expression, or the time of a job that runs once",
            "examples": ["0 8 * * *"],
        },
    )
    scheduled_time = Instant(
        allow_none=True, metadata={"description": "When a job runs that runs once"}
    )
    schedule_type = OneOf(
        ScheduleKind, allow_none=True, metadata={"description": "Follows from the other fields"}
    )
    enabled = fields.Boolean(
        allow_none=True, metadata={"description": "false for a job that is paused"}
    )
    api_key = Text(
        longest=200, allow_none=True, metadata={"description": "The API key, if no header has it"}
    )


class NewCompatJob(ChangedJob):
    """A job, in the words of 002, of 003 or of /api/v1/jobs."""

    name = Name(longest=bounds.MAX_NAME_LENGTH, required=True)


class SubmittedJob(ChangedJob):
    """A job, in the words of 003, of 002 or of /api/v1/jobs. Its name may be left out."""

    name = Name(longest=bounds.MAX_NAME_LENGTH, metadata=_ANY_NAME)


class PostJob(Strict):
    """A POST request on a schedule, in the words of 004 or of /api/v1/jobs."""

    schedule = Text(
        longest=MAX_EXPRESSION_LENGTH,
        required=True,
        metadata={
            "description": "A cron expression of five fields, or six with seconds first. For a "
            "job that runs once, its time",
            "examples": ["31 10-15 1 * * MON-FRI"],
        },
    )
    api = Text(longest=8192, required=True, metadata={"format": "uri", "description": "The URL"})
    type = Text(longest=20, metadata={"enum": list(AT_LEAST_ONCE)})
    name = Name(longest=bounds.MAX_NAME_LENGTH, metadata=_ANY_NAME)
    api_key = Text(
        longest=200, allow_none=True, metadata={"description": "The API key, if no header has it"}
    )


class CompatJobsQuery(Strict):
    """Which jobs to list."""

    page = Digits(
        low=1,
        high=MAX_DEPTH // MAX_LIMIT,
        load_default=1,
        metadata={"description": "Which page, from 1"},
    )
    limit = Digits(
        low=1,
        high=MAX_LIMIT,
        load_default=MAX_LIMIT,
        metadata={"description": "How many jobs a page has at most"},
    )
    status = OneOf(JobStatus, metadata={"description": "Whether the schedule is followed"})
    type = Text(longest=20, metadata={**_TYPES, "description": "What the jobs do"})
    search = Text(
        longest=200,
        shortest=1,
        composed=True,
        metadata={"description": "A part of name or description"},
    )
    api_key = Text(longest=200, metadata={"description": "The API key, if no header has it"})


class CompatExecution(Answer):
    """An execution, in the words of 002."""

    id = fields.UUID()
    status = computed(
        fields.String(metadata={"enum": sorted(set(EXECUTION_STATES.values()))}),
        lambda row: EXECUTION_STATES[row["status"]],
    )
    scheduledAt = Instant(attribute="scheduled_for")  # noqa: N815 - in their style
    startedAt = Instant(attribute="started_at", allow_none=True)  # noqa: N815 - in their style
    completedAt = Instant(attribute="finished_at", allow_none=True)  # noqa: N815 - in their style
    durationMs = fields.Integer(attribute="duration_ms", allow_none=True)  # noqa: N815 - in their style
    httpStatus = fields.Integer(attribute="http_status", allow_none=True)  # noqa: N815 - in their style
    error = computed(fields.String(allow_none=True), lambda row: row["error"] or row["reason"])


def _schedule(job: Mapping[str, Any]) -> str:
    """Return the schedule of a job's snapshot as one text."""
    run_at = clock.rfc3339(job["run_at"]) if job["run_at"] else None
    return job["cron_expression"] or run_at or job["schedule_description"]


class CompatJob(Answer):
    """A job with its latest executions, in the words of 002 and of 003."""

    id = fields.UUID()
    job_id = computed(fields.UUID(), itemgetter("id"))
    name = fields.String()
    description = fields.String()
    type = computed(
        fields.String(metadata={"enum": [kind.upper() for kind in TYPES]}),
        lambda job: job["type"].upper(),
    )
    schedule = computed(
        fields.String(
            metadata={"description": "Cron expression, time, or in words for an interval"}
        ),
        _schedule,
    )
    cron_expression = fields.String(allow_none=True)
    scheduled_time = Instant(attribute="run_at", allow_none=True)
    timezone = fields.String()
    payload = fields.Dict()
    max_attempts = fields.Integer()
    status = OneOf(JobStatus)
    enabled = computed(
        fields.Boolean(metadata={"description": "Whether it is active"}),
        lambda job: job["status"] == JobStatus.ACTIVE,
    )
    nextRunAt = Instant(attribute="next_run_at", allow_none=True)  # noqa: N815 - in their style
    createdAt = Instant(attribute="created_at")  # noqa: N815 - in their style
    updatedAt = Instant(attribute="updated_at")  # noqa: N815 - in their style
    executions = fields.List(fields.Nested(CompatExecution))


class CompatJobListItem(CompatJob):
    """A job in a list."""

    payload = fields.Dict(
        allow_none=True,
        metadata={"description": "null if it is longer than 16 KiB: read the job for it"},
    )


class CompatJobs(Answer):
    """A part of the list of jobs. ``total`` is the length of the list."""

    jobs = fields.List(fields.Nested(CompatJobListItem))
    total = fields.Integer()
    page = fields.Integer()
    limit = fields.Integer()


class OneJob(Answer):
    """A job."""

    job = fields.Nested(CompatJob)


class ChangeMade(OneJob):
    """The change, and the job after it."""

    message = fields.String()
    job_id = fields.UUID()


class JobGone(Answer):
    """The deletion."""

    message = fields.String()
    job_id = fields.UUID()
    status = fields.String(metadata={"enum": [str(JobStatus.CANCELLED)]})


class RunStarted(Answer):
    """The run, and its execution."""

    message = fields.String()
    job_id = fields.UUID()
    execution_id = fields.UUID()


class CompatState(JobState):
    """The status of a job, which may be cancelled."""

    job_id = computed(fields.UUID(), attrgetter("id"))


class PostJobMade(Answer):
    """The id of the job."""

    jobId = fields.UUID()  # noqa: N815 - as its clients call it


def _duration(row: Mapping[Any, Any]) -> str | None:
    return None if row["duration_ms"] is None else f"{row['duration_ms']}ms"


class Run(Answer):
    """An execution, in the words of 004."""

    timestamp = computed(
        Instant(metadata={"description": "When the request left"}),
        lambda row: row["started_at"] or row["scheduled_for"],
    )
    status = fields.Integer(
        attribute="http_status",
        allow_none=True,
        metadata={"description": "The HTTP status, or null if there is none"},
    )
    duration = computed(
        fields.String(allow_none=True, metadata={"examples": ["120ms"]}), _duration
    )


#: How many executions 004 calls the last ones.
LAST_RUNS = 5
