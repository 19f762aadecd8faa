"""Schedules that are tried out without a job."""

from marshmallow import fields

from chronos_api.fields.base import Answer, ValueAnswer, computed
from chronos_api.fields.fields import Instant, OneOf, Whole
from chronos_api.jobs.schemas import ScheduleFields
from chronos_common.domain.schedules.clock_changes import (
    HORIZON,
    MAX_CHANGES,
    MAX_READINGS,
    ClockChange,
    ClockChangeKind,
)
from chronos_common.domain.schedules.replacement import MAX_COMPARED

MAX_PREVIEW = 100


class PreviewRequest(ScheduleFields):
    """A schedule, and how much of it to show."""

    count = Whole(
        low=1,
        high=MAX_PREVIEW,
        load_default=5,
        metadata={"description": "How many instants to name"},
    )
    after = Instant(allow_none=True, metadata={"description": "Instead of now"})
    job_id = fields.UUID(
        allow_none=True,
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={"description": "The job whose schedule this one would replace"},
    )


class Occurrence(Answer):
    """One instant at which a schedule is due, made from its local time."""

    at = computed(Instant(), lambda local: local)
    local = computed(
        fields.String(
            metadata={
                "description": "The same instant on a clock of the schedule's time zone",
                "examples": ["2030-01-07T09:00:00+01:00"],
            }
        ),
        lambda local: local.isoformat(timespec="seconds"),
    )


class ClockChangeAnswer(ValueAnswer):
    """A change of the clocks in the schedule's time zone that meets the schedule."""

    at = Instant()
    kind = OneOf(
        ClockChangeKind,
        metadata={"description": "Whether clocks skip readings, or show them twice"},
    )
    readings = computed(
        fields.List(fields.String()),
        lambda change: [each.isoformat(timespec="seconds") for each in change.readings],
    )
    runs = fields.List(
        fields.Nested(Occurrence), metadata={"description": "When it runs for these readings"}
    )
    description = computed(
        fields.String(metadata={"description": "The change and its effect, in plain English"}),
        ClockChange.describe,
    )


class ReplacementAnswer(ValueAnswer):
    """The instants of a job that a new schedule drops and adds."""

    dropped = fields.List(fields.Nested(Occurrence))
    added = fields.List(fields.Nested(Occurrence))
    kept = fields.Integer(metadata={"description": "How many instants both schedules have"})
    until = Instant(
        allow_none=True,
        metadata={"description": "The last instant compared. null if all that are left are"},
    )


class AlsoDueAnswer(ValueAnswer):
    """Other jobs that start at the same second, so that another one may be better."""

    at = Instant()
    jobs = fields.Integer(metadata={"description": "Other active jobs that run next then"})
    is_exact = fields.Boolean(metadata={"description": "Whether there are not more of them"})


class Preview(ValueAnswer):
    """A schedule in plain English, its next instants, and what clock changes do to it."""

    description = fields.String()
    timezone = fields.String()
    next_runs = fields.List(fields.Nested(Occurrence))
    clock_changes = fields.List(
        fields.Nested(ClockChangeAnswer),
        metadata={
            "description": f"At most {MAX_CHANGES}, within {HORIZON.days} days. Each names the "
            f"first {MAX_READINGS} readings that the expression names in it"
        },
    )
    replacement = fields.Nested(
        ReplacementAnswer,
        allow_none=True,
        metadata={"description": f"With job_id. Up to {MAX_COMPARED} instants are compared"},
    )
    also_due = fields.Nested(
        AlsoDueAnswer,
        allow_none=True,
        metadata={"description": "About the first of next_runs. null without one"},
    )
