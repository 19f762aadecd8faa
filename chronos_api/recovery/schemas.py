"""Requests of the recovery desk, and its answers."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from chronos_api.executions.schemas import (
    OPEN_FAILURES,
    ExecutionAnswer,
    ExecutionChoice,
)
from chronos_api.fields.base import Answer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import BoundedList, Flag, Instant, Number, OneOf, Text, Whole
from chronos_api.fields.pagination import PageQuery, page_of
from chronos_api.recovery.selections import BulkAction
from chronos_common.domain.jobs import MAX_NOTE_LENGTH
from chronos_common.storage.executions.filters import MAX_LOOKED_AT
from chronos_common.storage.executions.recovery import MAX_COUNT, GroupKey
from chronos_common.storage.replays import MAX_LATEST, ReplayState

MAX_IDS = 1000
LOWEST_RATE, HIGHEST_RATE, DEFAULT_RATE = 0.1, 1000.0, 10.0


class GroupsQuery(ExecutionChoice):
    """Which failures to group, and by which property."""

    by = OneOf(
        GroupKey,
        load_default=GroupKey.ERROR,
        metadata={"description": "error groups by the error without its numbers"},
    )
    job_id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={"description": "Of this job alone"},
    )
    open_failures = Flag(metadata={"description": OPEN_FAILURES})


class FailureGroup(Answer):
    """Failures with one key."""

    key = fields.String(
        allow_none=True,
        metadata={"description": "The value of cause, job_id, host or http_status in a filter"},
    )
    name = fields.String(allow_none=True, metadata={"description": "Of the job, if by job"})
    executions = fields.Integer()
    jobs = fields.Integer(metadata={"description": "How many jobs have such failures"})
    first_at = Instant(metadata={"description": "The earliest scheduled_for"})
    last_at = Instant(metadata={"description": "The latest scheduled_for"})
    latest_id = fields.String(metadata={"description": "The latest of these executions"})
    latest_error = fields.String(metadata={"description": "Its error, with its numbers"})


class FailureGroups(Answer):
    """Groups of failures, the largest first."""

    by = OneOf(GroupKey)
    items = fields.List(fields.Nested(FailureGroup))
    looked_at = fields.Integer(
        metadata={"description": f"The latest executions are looked at, up to {MAX_LOOKED_AT}"}
    )
    is_exact = fields.Boolean(metadata={"description": "false if there may be more"})


class BulkFilter(ExecutionChoice):
    """Conditions on executions. Each one applies if it is given."""

    min_duration_ms = Whole(
        low=0, metadata={"description": "Whose last attempt took as long or longer"}
    )
    min_drift_ms = Whole(
        low=0, metadata={"description": "That started so much later than scheduled, or later"}
    )
    job_id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={"description": "Of this job alone"},
    )
    open_failures = fields.Boolean(
        truthy={True}, falsy={False}, metadata={"description": OPEN_FAILURES}
    )


class BulkSelection(Strict):
    """The executions that are meant, by their ids or by a filter."""

    ids = BoundedList(
        fields.UUID(error_messages={"invalid_uuid": "Must be the id of an execution."}),
        validate=Length(1, MAX_IDS, error="Give {min} to {max} ids."),
        metadata={"description": "The executions that are meant"},
    )
    filter = fields.Nested(
        BulkFilter,
        metadata={
            "description": "Instead of ids. Without a status, retry and discard mean failed "
            "executions, and cancel unfinished ones"
        },
    )
    as_of = Instant(
        metadata={
            "description": "as_of of a dry run, at most an hour ago: executions that were "
            "scheduled or ended later are left out"
        }
    )
    dry_run = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Count the executions that are meant, and change none"},
    )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_choice(self, _data: object, given: dict[str, Any], **_: object) -> None:
        if ("ids" in given) == ("filter" in given):
            raise ValidationError("Give either ids or filter.", "ids")


class BulkRetry(BulkSelection):
    """The executions to run again, and how fast."""

    rate_per_second = Number(
        low=LOWEST_RATE,
        high=HIGHEST_RATE,
        load_default=DEFAULT_RATE,
        metadata={"description": "Executions that begin in a second", "default": DEFAULT_RATE},
    )
    oldest_first = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=True,
        metadata={"description": "The order, by the scheduled instant", "default": True},
    )
    note = Text(
        longest=MAX_NOTE_LENGTH,
        stripped=True,
        allow_none=True,
        metadata={"description": "Why, for others"},
    )


class BulkExecutions(ValueAnswer):
    """The result of a bulk request on executions, or of its dry run."""

    action = OneOf(BulkAction)
    dry_run = fields.Boolean()
    matched = fields.Integer(metadata={"description": "How many executions are meant"})
    matched_is_exact = fields.Boolean(
        metadata={"description": f"false if more than {MAX_COUNT} had to be looked at"}
    )
    changed = computed(
        fields.Integer(metadata={"description": "How many changed. 0 for a dry run"}),
        lambda result: getattr(result, "changed", 0),
    )
    as_of = Instant(metadata={"description": "Send this with the request that is to follow"})
    sample = fields.List(
        fields.Nested(ExecutionAnswer), metadata={"description": "Of a dry run, up to ten"}
    )


class ReplayAnswer(Answer):
    """A bulk retry that a scheduler makes at a rate."""

    id = fields.UUID()
    state = OneOf(ReplayState)
    stopped_because = fields.String(
        allow_none=True,
        metadata={"description": "Why Chronos has paused or ended it by itself"},
    )
    filter = fields.Dict(
        metadata={"description": "Its conditions: statuses and http_statuses are lists here"}
    )
    ids = fields.List(
        fields.UUID(), allow_none=True, metadata={"description": "null for a filter"}
    )
    as_of = Instant()
    note = fields.String(allow_none=True)
    rate_per_second = fields.Float()
    oldest_first = fields.Boolean()
    matched = fields.Integer(metadata={"description": "How many executions matched at the start"})
    matched_is_exact = fields.Boolean()
    created = fields.Integer(metadata={"description": "Executions that it made so far"})
    refused = fields.Integer(
        metadata={"description": "Executions that cannot run again: their job is deleted"}
    )
    created_by = fields.UUID(allow_none=True)
    created_at = Instant()
    updated_at = Instant()
    finished_at = Instant(allow_none=True)


class ReplayDetail(ReplayAnswer):
    """A replay, and how its executions have ended so far."""

    outcomes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": f"By status, of its latest {MAX_LATEST} executions"},
    )


class ReplaysQuery(PageQuery):
    """Which replays to list."""


ReplayPage = page_of(ReplayAnswer, "ReplayPage")
