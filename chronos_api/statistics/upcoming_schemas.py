"""The runs to come: the forecast in buckets, and the agenda second by second."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from chronos_api.fields.base import ValueAnswer
from chronos_api.fields.fields import Digits, Instant
from chronos_api.jobs.schemas import JobTraits
from chronos_api.statistics import agenda
from chronos_common import clock

#: Buckets of a forecast.
MAX_BUCKETS = 500
_MINUTES_OF_HOUR = 60
#: Seconds of an agenda.
MAX_SECONDS = 100


class UpcomingQuery(JobTraits):
    """How far ahead to look, in which steps, and at which jobs."""

    hours = Digits(
        low=1, high=168, load_default=24, metadata={"description": "How many hours ahead to look"}
    )
    bucket_minutes = Digits(
        low=1,
        high=1440,
        load_default=60,
        metadata={"description": f"Minutes of one step. There are at most {MAX_BUCKETS} steps"},
    )

    @validates_schema
    def _check_number(self, data: dict[str, int], **_: object) -> None:
        if data["hours"] * _MINUTES_OF_HOUR > MAX_BUCKETS * data["bucket_minutes"]:
            least = -(-data["hours"] * _MINUTES_OF_HOUR // MAX_BUCKETS)
            raise ValidationError(
                f"{data['hours']} hours need buckets of at least {least} minutes.",
                "bucket_minutes",
            )


class UpcomingJob(ValueAnswer):
    """A job that runs in a bucket."""

    id = fields.UUID()
    name = fields.String()
    runs = fields.Integer()


class UpcomingBucket(ValueAnswer):
    """The runs within one span of time."""

    at = Instant(metadata={"description": "Where the span begins"})
    runs = fields.Integer(metadata={"description": "Occurrences that are due"})
    jobs = fields.Integer(metadata={"description": "Jobs that they belong to"})
    named = fields.List(
        fields.Nested(UpcomingJob),
        metadata={"description": "Up to 5 of the jobs, those that run least often first"},
    )


class Upcoming(ValueAnswer):
    """The runs to come, by the schedules as they are now."""

    as_of = Instant()
    until = Instant()
    bucket_seconds = fields.Integer()
    jobs = fields.Integer(metadata={"description": "How many jobs were taken into account"})
    runs = fields.Integer()
    # Schema has something else by the name of partial.
    is_partial = fields.Boolean(
        data_key="partial",
        metadata={"description": "True if the workspace has more jobs than could be looked at"},
    )
    buckets = fields.List(fields.Nested(UpcomingBucket))


class AgendaQuery(JobTraits):
    """Which span of time to look at, how many seconds of it to answer, and at which jobs."""

    since = Instant(
        required=True, metadata={"description": "Where the span begins, but not before now"}
    )
    until = Instant(
        required=True,
        metadata={
            "description": "Where the span ends: at most a day after since. Exclusive",
            "examples": ["2030-01-01T18:00:00.000Z"],
        },
    )
    limit = Digits(
        low=1,
        high=MAX_SECONDS,
        load_default=50,
        metadata={"description": "How many seconds to answer at most"},
    )

    @validates_schema
    def _check_span(self, data: dict[str, Any], **_: object) -> None:
        since, until = data.get("since"), data.get("until")
        if since and until and not timedelta(0) < until - since <= clock.DAY:
            raise ValidationError("Must be after since, by at most a day.", "until")


class AgendaJob(ValueAnswer):
    """A job that runs in a second."""

    id = fields.UUID()
    name = fields.String()


class AgendaSecond(ValueAnswer):
    """A second in which jobs run."""

    at = Instant()
    jobs = fields.Integer(metadata={"description": "How many jobs run in it, once each"})
    named = fields.List(
        fields.Nested(AgendaJob),
        metadata={
            "description": f"Up to {agenda.NAMED} of them, or {agenda.NAMED_ALONE} of them if "
            "the span is one second"
        },
    )


class AgendaMinute(ValueAnswer):
    """A minute, or the part of it that belongs to the span."""

    at = Instant()
    runs = fields.Integer()


class Agenda(ValueAnswer):
    """The runs of a span, by the schedules as they are now."""

    as_of = Instant()
    since = Instant()
    until = Instant()
    jobs = fields.Integer(metadata={"description": "How many jobs were taken into account"})
    # Schema has something else by the name of partial.
    is_partial = fields.Boolean(
        data_key="partial",
        metadata={"description": "True if there are more runs than could be looked at"},
    )
    seconds = fields.List(
        fields.Nested(AgendaSecond), metadata={"description": "Those with runs, in order"}
    )
    next_since = Instant(
        allow_none=True, metadata={"description": "Where the next seconds begin, if there are any"}
    )
    minutes = fields.List(
        fields.Nested(AgendaMinute),
        metadata={"description": "Each minute of a span of at most an hour. Otherwise empty"},
    )
    busiest = fields.List(
        fields.Nested(AgendaSecond),
        metadata={
            "description": "Up to 5 seconds in which most jobs start at once, and at least two. "
            "Of a span of at most an hour"
        },
    )
    quietest = fields.List(
        fields.Nested(AgendaMinute),
        metadata={
            "description": "Up to 3 whole minutes with the fewest runs, for further jobs. Of a "
            "span of at most an hour"
        },
    )
