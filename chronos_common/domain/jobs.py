"""A job as its user defined it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.payloads import DEFAULT_TYPE
from chronos_common.domain.retries import DEFAULT_POLICY, RetryPolicy
from chronos_common.domain.schedules.misfires import MisfirePolicy
from chronos_common.domain.schedules.schedule import Schedule

MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 2000
MAX_TAGS = 20
MAX_TAG_LENGTH = 50
MAX_NOTIFY = 20
MAX_NOTE_LENGTH = 500
MAX_ATTEMPTS = 50
MAX_RETRY_DELAYS = 20
MAX_DELAY_SECONDS = 7 * 86_400
MAX_TIMEOUT_SECONDS = 300
DEFAULT_TIMEOUT_SECONDS = 30.0
DEFAULT_MISFIRE_GRACE_SECONDS = 60.0


# A field stands in one of the three classes below. Its column and its field of the API have the
# same name, so the tables, the statements, the worker's specs and the API's definitions follow
# from the classes.
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFields:
    """The fields of a job's definition that workers need. Their columns are in ``jobs``."""

    name: str
    type: str = DEFAULT_TYPE
    payload: Mapping[str, Any]
    policy: RetryPolicy = DEFAULT_POLICY
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    overlap_policy: OverlapPolicy = OverlapPolicy.ALLOW


# Without slots: a class can inherit the slots of one class only.
@dataclass(frozen=True, kw_only=True)
class SchedulerFields:
    """The fields of a job's definition that schedulers need. Their columns are in ``schedules``.

    ``jitter_seconds`` is the bound that the user gave. ``schedule.jitter`` is the offset that
    follows from it. With ``shadow``, the occurrences of the schedule are recorded and do not run.
    """

    schedule: Schedule
    jitter_seconds: float = 0.0
    max_runs: int | None = None
    misfire_policy: MisfirePolicy = MisfirePolicy.RUN_LATEST
    misfire_grace_seconds: float = DEFAULT_MISFIRE_GRACE_SECONDS
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition(WorkerFields, SchedulerFields):
    """The action of a job, its schedule, and its policies. All values are checked.

    The columns of its own fields are in ``jobs``. ``notify`` holds the addresses that learn of a
    final failure. ``None`` means the job's creator.
    """

    description: str = ""
    tags: Sequence[str] = ()
    notify: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The user who paused a job, the note, and the instant at which it resumes by itself."""

    by: UUID | None = None
    note: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The file of jobs as code that a job belongs to: its scope, and the job's key in it.

    ``applied`` is the definition as last applied, without secrets.
    """

    scope: str
    key: str
    applied: Mapping[str, Any]


def is_same_json(one: Any, other: Any) -> bool:
    """Return whether two values are written alike.

    Python calls objects equal whose members stand in another order, and 1, 1.0 and true as well.
    Values beside JSON's, such as instants, are compared as text.
    """
    return one == other and _written(one) == _written(other)


def _written(value: Any) -> str:
    return json.dumps(value, default=str)
