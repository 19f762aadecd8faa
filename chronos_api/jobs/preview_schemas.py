"""Schedules that are tried out without a job."""

from marshmallow import fields

from chronos_api.fields.base import Answer, computed
from chronos_api.fields.fields import Instant, Whole
from chronos_api.jobs.schemas import ScheduleFields

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


class Preview(Answer):
    """A schedule in plain English, and its next instants."""

    description = fields.String()
    timezone = fields.String()
    next_runs = fields.List(fields.Nested(Occurrence))
