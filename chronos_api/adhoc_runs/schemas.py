"""Test runs, as they are asked for and answered."""

from marshmallow import fields

from chronos_api.fields.base import DocumentAnswer, Strict
from chronos_api.fields.fields import FreeObject, Instant, Number, OneOf
from chronos_api.jobs.definition.payload_schemas import JobType
from chronos_api.jobs.definition.policy_schemas import MIN_TIMEOUT_SECONDS
from chronos_api.jobs.schemas import PAYLOAD_EXAMPLE
from chronos_common.domain.payloads import DEFAULT_TYPE
from chronos_common.domain.statuses import Status

MAX_TIMEOUT_SECONDS = 30
DEFAULT_TIMEOUT_SECONDS = 10.0


class TestRunRequest(Strict):
    """A payload to perform once, now."""

    __test__ = False

    type = OneOf(
        JobType,
        load_default=DEFAULT_TYPE,
        metadata={"description": "What to do, as that of a job"},
    )
    payload = FreeObject(
        required=True,
        metadata={"description": "As that of a job", "examples": [PAYLOAD_EXAMPLE]},
    )
    job_id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={
            "description": "A job whose secrets are sent where the payload has [redacted], if it "
            "goes to the same server as the job"
        },
    )
    timeout_seconds = Number(
        low=MIN_TIMEOUT_SECONDS,
        high=MAX_TIMEOUT_SECONDS,
        load_default=DEFAULT_TIMEOUT_SECONDS,
        metadata={"description": "Seconds that it may take, from its start to its end"},
    )


class TestRunResult(DocumentAnswer):
    """The request, the response, and how long each part took."""

    __test__ = False

    id = fields.UUID(
        required=True, metadata={"description": "The webhook-id that the target was sent"}
    )
    status = fields.String(
        required=True, metadata={"enum": [Status.SUCCEEDED.value, Status.FAILED.value]}
    )
    shortened = fields.Boolean(
        metadata={"description": "true if it was too long for an answer, and was cut"}
    )
    error = fields.String(required=True, allow_none=True)
    started_at = Instant(required=True)
    duration_ms = fields.Integer(required=True)
    http_status = fields.Integer(required=True, allow_none=True)
    request = fields.Dict(required=True, allow_none=True)
    response = fields.Dict(required=True, allow_none=True)
    timing_ms = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "dns, connect, tls, first_byte and total, in milliseconds"},
    )
