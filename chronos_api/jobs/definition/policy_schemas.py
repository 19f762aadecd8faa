"""The policies of a job, for failures, for late occurrences, and for runs that overlap."""

from marshmallow import fields
from marshmallow.validate import Length

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import BoundedList, Number, OneOf, Whole
from chronos_common.domain import jobs as bounds
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.misfires import MisfirePolicy

MAX_BACKOFF_FACTOR = 10
MIN_TIMEOUT_SECONDS = 0.1

_POLICY = RetryPolicy()

_TRIED_AGAIN = (
    "How often an execution is tried until it succeeds. A webhook is tried again if it got no "
    "answer, or none that was complete within timeout_seconds, after 408, 425, 429 and 5xx, and "
    "after any other 4xx with a Retry-After. Other answers that are no success, redirects that "
    "cannot be followed and addresses that must not be reached end the execution at once"
)
_MISFIRES = (
    "Which missed occurrences run late. One is missed if no scheduler planned it within "
    "misfire_grace_seconds of its instant, or while the job was paused. run_latest runs the "
    "latest one, run_all the latest 1,000, skip none. The others are recorded as skipped"
)
_OVERLAPS = (
    "Whether an occurrence of the schedule starts while an execution of the job is under way, "
    "which an automatic retry that is still to come is too. allow starts it. skip records it as "
    "skipped. queue_one lets it wait, and skips it if another one waits already. cancel_running "
    "cancels those under way and starts it. Runs by hand, retries by hand and automatic retries "
    "start at once under every policy, and count as under way for the occurrences after them"
)


class PolicyFields(Strict):
    """How often and how long to try, and the policies for late and overlapping occurrences."""

    max_attempts = Whole(
        low=1,
        high=bounds.MAX_ATTEMPTS,
        allow_none=True,
        metadata={"description": _TRIED_AGAIN, "default": 4},
    )
    retry_delays = BoundedList(
        Number(low=0, high=bounds.MAX_DELAY_SECONDS),
        allow_none=True,
        validate=Length(max=bounds.MAX_RETRY_DELAYS, error="At most {max} delays."),
        metadata={
            "description": "Seconds from the end of a failed attempt to the next one: the first "
            "after the first attempt, and so on. The last one repeats. Empty for exponential "
            "backoff",
            "default": [60, 300, 900],
        },
    )
    backoff_seconds = Number(
        low=0,
        high=bounds.MAX_DELAY_SECONDS,
        allow_none=True,
        metadata={
            "description": "Seconds from the end of the first failed attempt to the next one, "
            f"{_POLICY.backoff_seconds:g} if another backoff field is given. Asks for "
            "exponential backoff, so retry_delays must not be given"
        },
    )
    backoff_factor = Number(
        low=1,
        high=MAX_BACKOFF_FACTOR,
        allow_none=True,
        metadata={
            "description": "How many times as long each further delay of exponential backoff is, "
            f"{_POLICY.backoff_factor:g} if another backoff field is given"
        },
    )
    backoff_cap_seconds = Number(
        low=0,
        high=bounds.MAX_DELAY_SECONDS,
        allow_none=True,
        metadata={
            "description": "Seconds. No delay of exponential backoff is longer, jitter aside, "
            f"{_POLICY.backoff_cap_seconds:g} if another backoff field is given"
        },
    )
    retry_jitter = Number(
        low=0,
        high=1,
        allow_none=True,
        metadata={
            "description": "Lengthens each delay by a random part of it, up to this. 0.5 makes up "
            "to 90 seconds of 60. Executions that failed together do not come back together",
            "default": 0,
        },
    )
    timeout_seconds = Number(
        low=MIN_TIMEOUT_SECONDS,
        high=bounds.MAX_TIMEOUT_SECONDS,
        allow_none=True,
        metadata={
            "description": "Seconds that one attempt may take, from its start to its end. One "
            "that takes longer has failed",
            "default": bounds.DEFAULT_TIMEOUT_SECONDS,
        },
    )
    misfire_policy = OneOf(
        MisfirePolicy,
        allow_none=True,
        metadata={"description": _MISFIRES, "default": "run_latest"},
    )
    misfire_grace_seconds = Number(
        low=0,
        high=bounds.MAX_DELAY_SECONDS,
        allow_none=True,
        metadata={
            "description": "Seconds that an occurrence may be late and still run as if it were in "
            "time. Occurrences that a pause held back have no grace",
            "default": bounds.DEFAULT_MISFIRE_GRACE_SECONDS,
        },
    )
    overlap_policy = OneOf(
        OverlapPolicy,
        allow_none=True,
        metadata={
            "description": _OVERLAPS,
            "default": "allow",
        },
    )
    shadow = fields.Boolean(
        truthy={True},
        falsy={False},
        allow_none=True,
        metadata={
            "description": "Whether the occurrences of the schedule are only recorded, as skipped "
            "with the reason shadow, and nothing is sent. Runs and retries by hand are sent",
            "default": False,
        },
    )


class PolicyAnswer(Answer):
    """The policies of a job as it stands."""

    max_attempts = fields.Integer()
    retry_delays = fields.List(fields.Float())
    backoff_seconds = fields.Float(allow_none=True)
    backoff_factor = fields.Float(allow_none=True)
    backoff_cap_seconds = fields.Float(allow_none=True)
    retry_jitter = fields.Float()
    timeout_seconds = fields.Float()
    misfire_policy = OneOf(MisfirePolicy)
    misfire_grace_seconds = fields.Float()
    overlap_policy = OneOf(OverlapPolicy)
    shadow = fields.Boolean()
