"""A job as its user defined it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import MisfirePolicy, OverlapPolicy

MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 2000
MAX_TAGS = 20
MAX_TAG_LENGTH = 50
MAX_NOTIFY = 20
MAX_ATTEMPTS = 50
MAX_RETRY_DELAYS = 20
MAX_DELAY_SECONDS = 7 * 86_400
MAX_TIMEOUT_SECONDS = 300
DEFAULT_TIMEOUT_SECONDS = 30.0
DEFAULT_MISFIRE_GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """What to do, when, and how to go on when it fails; already checked.

    ``notify`` holds the addresses told of a final failure; ``None`` means the job's creator.
    ``jitter_seconds`` is the bound that the user gave; ``schedule.jitter`` is the offset that
    follows from it.
    """

    name: str
    description: str
    type: str
    payload: Mapping[str, Any]
    tags: Sequence[str]
    notify: Sequence[str] | None
    policy: RetryPolicy
    timeout_seconds: float
    overlap_policy: OverlapPolicy
    schedule: Schedule
    jitter_seconds: float
    max_runs: int | None
    misfire_policy: MisfirePolicy
    misfire_grace_seconds: float
