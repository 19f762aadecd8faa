"""The forecast."""

from marshmallow import ValidationError, fields, validates_schema

from chronos_api.fields.base import Strict, ValueAnswer
from chronos_api.fields.fields import Digits, Instant

MAX_BUCKETS = 500
_MINUTES = 60


class UpcomingQuery(Strict):
    """How far ahead to look, and in which steps."""

    hours = Digits(
        low=1,
        high=168,
        load_default=24,
        metadata={"description": "How many hours ahead to look", "default": 24},
    )
    bucket_minutes = Digits(
        low=1,
        high=1440,
        load_default=60,
        metadata={
            "description": f"Minutes of one step; there are at most {MAX_BUCKETS} steps",
            "default": 60,
        },
    )

    @validates_schema
    def _check_number(self, data: dict[str, int], **_: object) -> None:
        if data["hours"] * _MINUTES > MAX_BUCKETS * data["bucket_minutes"]:
            least = -(-data["hours"] * _MINUTES // MAX_BUCKETS)
            raise ValidationError(
                f"{data['hours']} hours need buckets of at least {least} minutes.",
                "bucket_minutes",
            )


class UpcomingJob(ValueAnswer):
    """A job that runs in a bucket."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    runs = fields.Integer(required=True)


class UpcomingBucket(ValueAnswer):
    """The runs within one span of time."""

    at = Instant(required=True, metadata={"description": "Where the span begins"})
    runs = fields.Integer(required=True, metadata={"description": "Occurrences that are due"})
    jobs = fields.Integer(required=True, metadata={"description": "Jobs that they belong to"})
    named = fields.List(
        fields.Nested(UpcomingJob),
        required=True,
        metadata={"description": "Up to 5 of the jobs, those that run least often first"},
    )


class Upcoming(ValueAnswer):
    """The runs to come, by the schedules as they are now."""

    as_of = Instant(required=True)
    until = Instant(required=True)
    bucket_seconds = fields.Integer(required=True)
    jobs = fields.Integer(
        required=True, metadata={"description": "How many jobs were taken into account"}
    )
    runs = fields.Integer(required=True)
    # Schema has something else by the name of partial.
    is_partial = fields.Boolean(
        required=True,
        data_key="partial",
        metadata={"description": "True if the workspace has more jobs than could be looked at"},
    )
    buckets = fields.List(fields.Nested(UpcomingBucket), required=True)
