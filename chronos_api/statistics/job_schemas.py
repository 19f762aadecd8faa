"""The figures of one job."""

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict, ValueAnswer
from chronos_api.fields.fields import Digits, Instant, OneOf
from chronos_common.domain.statuses import Status

MAX_CONSIDERED = 500


class StatisticsQuery(Strict):
    """Over how many of the job's executions."""

    limit = Digits(
        low=1,
        high=MAX_CONSIDERED,
        load_default=100,
        metadata={"description": "How many of the latest executions to look at", "default": 100},
    )


class OutcomeAnswer(Answer):
    """How one execution ended, or where it stands."""

    id = fields.UUID(required=True)
    status = OneOf(Status, required=True)
    scheduled_for = Instant(required=True)
    started_at = Instant(required=True, allow_none=True)
    finished_at = Instant(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    http_status = fields.Integer(required=True, allow_none=True)


class JobStatistics(ValueAnswer):
    """The figures of a job, over its latest executions."""

    job_id = fields.UUID(required=True)
    considered = fields.Integer(
        required=True, metadata={"description": "How many executions the figures are made of"}
    )
    since = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When the first of them was scheduled"},
    )
    executions = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "How many of them have each status"},
    )
    success_rate = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "succeeded / (succeeded + failed), from 0 to 1"},
    )
    average_duration_ms = fields.Float(
        required=True, allow_none=True, metadata={"description": "Of what succeeded or failed"}
    )
    p95_duration_ms = fields.Integer(
        required=True, allow_none=True, metadata={"description": "95 % took at most this long"}
    )
    latest = fields.List(
        fields.Nested(OutcomeAnswer),
        required=True,
        metadata={"description": "The latest 20, the latest first"},
    )
    next_runs = fields.List(Instant(), required=True)
