"""Jobs, as users write them and as they are answered.

The rules of payloads depend on the job's type, and those of schedules on their kind. They are in
``domain.payloads`` and ``domain.schedules``, and ``definition.definitions`` applies them. Answers
are rendered from a snapshot (see ``snapshots``).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from chronos_api.executions.schemas import ExecutionAnswer
from chronos_api.fields.base import Answer, Strict, ValueAnswer
from chronos_api.fields.fields import (
    BoundedList,
    EmailAddress,
    FreeObject,
    Instant,
    Name,
    Number,
    OneOf,
    Text,
    Whole,
)
from chronos_api.fields.pagination import STABLE, PageQuery, StableQuery, filter_of, page_of
from chronos_api.jobs.definition import payload_schemas
from chronos_api.jobs.definition.payload_schemas import JobType
from chronos_api.jobs.definition.policy_schemas import PolicyAnswer, PolicyFields
from chronos_common.domain import jobs as bounds
from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.payloads import DEFAULT_TYPE
from chronos_common.domain.schedules.schedule import (
    MAX_INTERVAL_SECONDS,
    MAX_JITTER_SECONDS,
    ScheduleKind,
)
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.jobs.filters import JobFilter, LastOutcome
from chronos_common.storage.jobs.lists import MAX_EXAMINED, MAX_LOOKED_AT, SORTS

MAX_EXPRESSION_LENGTH = 256


class Recurrence(StrEnum):
    """Whether a job runs more than once, which follows from its schedule."""

    RECURRING = "recurring"
    ONE_TIME = "one_time"


PAYLOAD_EXAMPLE = {
    "url": "https://example.com/hook",
    "method": "POST",
    "headers": {"X-Team": "mail"},
    "body": {"template": "weekly_digest"},
}


class ScheduleFields(Strict):
    """When something is due."""

    schedule_type = OneOf(
        ScheduleKind,
        required=True,
        metadata={
            "description": "cron needs cron_expression, interval interval_seconds, once run_at",
            "examples": ["cron"],
        },
    )
    cron_expression = Text(
        longest=MAX_EXPRESSION_LENGTH,
        allow_none=True,
        metadata={
            "description": "Five fields (minute, hour, day of month, month, day of week), or "
            "six with seconds first. Names, lists, ranges, steps, `L`, `LW`, `L-3`, `15W`, `5L`, "
            "`5#2`, and also `@daily` and friends",
            "examples": ["0 9 * * 1"],
        },
    )
    timezone = Text(
        longest=64,
        allow_none=True,
        metadata={
            "description": "IANA time zone in which the cron expression is read",
            "default": "UTC",
            "examples": ["Europe/Berlin"],
        },
    )
    day_match = OneOf(
        DayMatch,
        allow_none=True,
        metadata={
            "description": "What a cron expression means that restricts both day of month and day "
            "of week. With any either will do, unless one field begins with `*`, as in Debian's "
            "cron. With all both must match, as in Celery and APScheduler",
            "default": "any",
        },
    )
    interval_seconds = Whole(
        low=1,
        high=MAX_INTERVAL_SECONDS,
        allow_none=True,
        metadata={"description": "Seconds from one run to the next", "examples": [3600]},
    )
    run_at = Instant(
        allow_none=True,
        metadata={
            "description": "The instant of the only run, in the future",
            "examples": ["2030-01-01T09:00:00Z"],
        },
    )
    starts_at = Instant(allow_none=True, metadata={"description": "Never before this instant"})
    ends_at = Instant(allow_none=True, metadata={"description": "Never after this instant"})
    jitter_seconds = Number(
        low=0,
        high=MAX_JITTER_SECONDS,
        allow_none=True,
        metadata={
            "description": "Seconds. Shifts every instant of this job by the same offset, at "
            "least 0 and less than this, which follows from the job's id. Spreads jobs that have "
            "the same schedule",
            "default": 0,
        },
    )


class JobFields(PolicyFields, ScheduleFields):
    """A job: its payload, its schedule, and its policies."""

    name = Name(longest=bounds.MAX_NAME_LENGTH, required=True)
    description = Text(longest=bounds.MAX_DESCRIPTION_LENGTH, composed=True, allow_none=True)
    type = OneOf(
        JobType,
        allow_none=True,
        metadata={
            "default": DEFAULT_TYPE,
            "description": f"What each execution sends. {payload_schemas.types_described()}",
        },
    )
    payload = FreeObject(
        required=True,
        metadata={
            "description": f"{payload_schemas.payloads_described()} A webhook's payload without "
            "a url goes as JSON to the workspace's default_webhook_url. Secret values are "
            "answered as [redacted]. Sent back like that, they stay as they are.",
            "examples": [PAYLOAD_EXAMPLE],
        },
    )
    job_type = OneOf(
        Recurrence,
        allow_none=True,
        metadata={"description": "Follows from schedule_type. Checked if it is given"},
    )
    status = OneOf(
        JobStatus,
        allow_none=True,
        metadata={
            "description": "active follows the schedule, paused does not. A job becomes completed "
            "when nothing of its schedule is left, and cancelled when it is deleted: neither can "
            "be asked for here. A new job is active if nothing is said"
        },
    )
    max_runs = Whole(
        low=1,
        allow_none=True,
        metadata={
            "description": "After so many runs of its schedule the job is completed. Runs and "
            "retries by hand do not count. null for no limit"
        },
    )
    tags = BoundedList(
        Name(longest=bounds.MAX_TAG_LENGTH),
        allow_none=True,
        validate=Length(max=bounds.MAX_TAGS, error="At most {max} tags."),
        metadata={"description": "Words to find jobs by, in lists and in bulk requests"},
    )
    notify = BoundedList(
        EmailAddress(),
        allow_none=True,
        validate=Length(max=bounds.MAX_NOTIFY, error="At most {max} addresses."),
        metadata={
            "description": "E-mail addresses that get a message when an execution has failed for "
            "good. null for the job's creator, an empty list for no message"
        },
    )


class JobByName(JobFields):
    """A job that the path names."""

    name = Name(
        longest=bounds.MAX_NAME_LENGTH,
        metadata={"description": "As in the path, if it is given"},
    )


class JobChange(JobFields):
    """Some fields of a job. null resets one to its default."""

    name = Name(longest=bounds.MAX_NAME_LENGTH)
    payload = FreeObject(metadata={"description": "The whole payload, as a new job's"})
    schedule_type = OneOf(
        ScheduleKind,
        metadata={"description": "Another kind needs the field of that kind along with it"},
    )


class PauseFields(Strict):
    """Why a job is paused, and for how long."""

    note = Text(
        longest=bounds.MAX_NOTE_LENGTH,
        stripped=True,
        allow_none=True,
        metadata={
            "description": "Why, for others",
            "examples": ["The shop moves to a new server"],
        },
    )
    until = Instant(
        allow_none=True,
        metadata={
            "description": "The job resumes by itself at this instant. null for no end",
            "examples": ["2030-01-01T09:00:00Z"],
        },
    )


class ScheduledAnswer(Answer):
    """The work of a job, and its schedule."""

    id = fields.UUID()
    name = fields.String()
    description = fields.String()
    type = OneOf(JobType)
    payload = fields.Dict()
    status = OneOf(JobStatus)
    job_type = OneOf(Recurrence)
    schedule_type = OneOf(ScheduleKind)
    cron_expression = fields.String(allow_none=True)
    timezone = fields.String()
    day_match = OneOf(DayMatch)
    interval_seconds = fields.Integer(allow_none=True)
    run_at = Instant(allow_none=True)
    starts_at = Instant(allow_none=True)
    ends_at = Instant(allow_none=True)
    jitter_seconds = fields.Float()
    max_runs = fields.Integer(allow_none=True)
    schedule_description = fields.String(
        metadata={"examples": ["At 09:00 on Mondays (Europe/Berlin)"]}
    )
    next_run_at = Instant(allow_none=True, metadata={"description": "null unless active"})


class JobAnswer(PolicyAnswer, ScheduledAnswer):
    """A job as it stands."""

    tags = fields.List(fields.String())
    notify = fields.List(fields.String(), allow_none=True)
    scope = fields.String(
        allow_none=True,
        metadata={"description": "The scope of jobs as code that manages it. null for none"},
    )
    scope_key = fields.String(allow_none=True, metadata={"description": "Its key in the scope"})
    version = fields.Integer(metadata={"description": "The ETag's number"})
    created_by = fields.UUID(allow_none=True)
    created_at = Instant()
    updated_at = Instant()
    paused_at = Instant(allow_none=True, metadata={"description": "null unless paused"})
    paused_by = fields.UUID(
        allow_none=True, metadata={"description": "The user. null if Chronos paused it by itself"}
    )
    pause_note = fields.String(allow_none=True, metadata={"description": "Why it is paused"})
    paused_until = Instant(
        allow_none=True, metadata={"description": "When a paused job resumes by itself"}
    )


class JobDetail(JobAnswer):
    """A job as it stands, with its next runs."""

    next_runs = fields.List(Instant(), metadata={"description": "The next five"})


def _check_sort(value: str) -> None:
    if value.removeprefix("-") not in SORTS:
        names = ", ".join(SORTS)
        raise ValidationError(f"Must be one of {names}, with '-' in front for descending order.")


class JobTraits(Strict):
    """Conditions on what jobs are. Each one applies if it is given."""

    type = OneOf(JobType, metadata={"description": "What the jobs do"})
    tag = Name(longest=bounds.MAX_TAG_LENGTH, metadata={"description": "Jobs with this tag"})
    search = Text(
        longest=200,
        shortest=1,
        composed=True,
        metadata={"description": "A part of name or description, in small or capital letters"},
    )


class JobChoice(JobTraits):
    """Conditions on jobs. Each one applies if it is given."""

    status = OneOf(JobStatus, metadata={"description": "Whether the schedule is followed"})
    name = Name(longest=bounds.MAX_NAME_LENGTH, metadata={"description": "Just this"})
    next_run_after = Instant(
        metadata={"description": "Active jobs whose next run is at this instant or later"}
    )
    next_run_before = Instant(
        metadata={"description": "Active jobs whose next run is before this instant"}
    )
    last_outcome = OneOf(
        LastOutcome,
        metadata={
            "description": "How the latest finished execution ended. So many jobs are looked at "
            f"for one page of a list: {MAX_LOOKED_AT}. A page may hold fewer than limit, or none, "
            f"although next_cursor goes on. A bulk request looks at {MAX_EXAMINED:,} at most"
        },
    )


def job_filter(query: Mapping[str, Any]) -> JobFilter:
    """Return the filter that ``query`` asks for."""
    return filter_of(JobFilter, query)


class JobsQuery(StableQuery, JobChoice):
    """Which jobs to list."""

    conditions = JobFilter

    sort = Text(
        longest=20,
        load_default="-created_at",
        validate=_check_sort,
        metadata={
            "description": "The order, with '-' in front for descending",
            "enum": [f"{sign}{name}" for name in SORTS for sign in ("", "-")],
        },
    )

    @validates_schema
    def _check_paging(self, data: dict[str, object], **_: object) -> None:
        if "last_outcome" in data and data["page"] != 1:
            raise ValidationError("Does not go with last_outcome; use cursor.", "page")


class JobChangesQuery(PageQuery):
    """Which changes of a job to list."""


class JobListItem(JobAnswer):
    """A job in a list."""

    payload = fields.Dict(
        allow_none=True,
        metadata={"description": "null if it is longer than 16 KiB: read the job for it"},
    )


class JobState(ValueAnswer):
    """The status of a job."""

    id = fields.UUID()
    name = fields.String()
    status = OneOf(JobStatus)
    next_run_at = Instant(allow_none=True)
    unfinished = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "How many executions are queued, running and retrying"},
    )
    latest_execution = fields.Nested(ExecutionAnswer, allow_none=True)


JobPage = page_of(JobListItem, "JobPage", STABLE)
