"""The quotas: how much of this installation one workspace may use, and the refusal of more.

Each is declared once, here. Its default is a setting, ``CHRONOS_QUOTA_<NAME>``, and the operator
can give one workspace another bound (``storage.quotas``). API, doctor, metrics and the page about
operations list :data:`ALL`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from chronos_common.errors import ChronosError

#: The largest bound: PostgreSQL stores it as bigint.
MAX_BOUND: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Quota:
    """A bound on the use of one workspace.

    ``kind`` is where the use stands. "kept" ends with a deletion, "daily" with the day in UTC.
    "open" is counted in Redis, while a request of a client goes on. A "size" bounds each single
    thing, so that there is no use.
    ``remedy`` is the last sentence of a refusal: the user's way out. ``is_of_user`` bounds
    each user instead of each workspace, and has the same bound for all.
    """

    name: str
    unit: str
    default: int
    kind: Literal["kept", "daily", "open", "size"]
    help: str
    remedy: str
    is_of_user: bool = False

    @property
    def setting(self) -> str:
        """Return the name of the setting with the bound of every workspace."""
        return f"quota_{self.name}"

    @property
    def is_counted(self) -> bool:
        """Return whether ``storage.quotas`` counts its use."""
        return self.kind in {"kept", "daily"}

    def bound(self, settings: Any) -> int:
        """Return the bound of a workspace without one of its own."""
        value: int = getattr(settings, self.setting)
        return value

    def seconds_to_wait(self, now: datetime) -> int | None:
        """Return after how many seconds more is allowed. None if waiting alone does not help."""
        if self.kind != "daily":
            return None
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return max(1, round((tomorrow - now).total_seconds()))


EVENT_STREAMS: Final = Quota(
    "event_streams",
    "open streams",
    10,
    "open",
    "event streams that a workspace has open at once",
    "Close one.",
)
USER_EVENT_STREAMS: Final = Quota(
    "user_event_streams",
    "open streams",
    3,
    "open",
    "event streams that a user has open at once",
    "Close one.",
    is_of_user=True,
)
EXPORTS: Final = Quota(
    "exports",
    "exports",
    2,
    "open",
    "exports of a workspace at once",
    "Try again when one has ended.",
)
USER_EXPORTS: Final = Quota(
    "user_exports",
    "exports",
    2,
    "open",
    "exports of a user at once",
    "Try again when one has ended.",
    is_of_user=True,
)
TEST_RUNS: Final = Quota(
    "test_runs",
    "test runs",
    3,
    "open",
    "test runs of a workspace at once",
    "Try again when one has ended.",
)
USER_TEST_RUNS: Final = Quota(
    "user_test_runs",
    "test runs",
    3,
    "open",
    "test runs of a user at once",
    "Try again when one has ended.",
    is_of_user=True,
)
INVITATIONS: Final = Quota(
    "invitations",
    "invitations a day",
    100,
    "daily",
    "invitations that a workspace sends in a day",
    "Go on tomorrow (UTC).",
)
MAILS: Final = Quota(
    "mails",
    "e-mails a day",
    10_000,
    "daily",
    "e-mails that a workspace's jobs and failures send in a day, each recipient counted",
    "Go on tomorrow (UTC).",
)
JOBS: Final = Quota(
    "jobs",
    "jobs",
    100_000,
    "kept",
    "jobs of a workspace that are not deleted",
    "Delete jobs.",
)
JOB_BYTES: Final = Quota(
    "job_bytes",
    "bytes",
    256 * 1024 * 1024,
    "kept",
    "size of all payloads of a workspace, in bytes",
    "Delete jobs, or make their payloads smaller.",
)
RUNS_PER_DAY: Final = Quota(
    "runs_per_day",
    "runs a day",
    86_400_000,
    "kept",
    "runs that the active schedules of a workspace plan in a day",
    "Pause or delete jobs, or let them run less often.",
)
CHANGE_BYTES: Final = Quota(
    "change_bytes",
    "bytes a day",
    128 * 1024 * 1024,
    "daily",
    "bytes that changes of a workspace write in a day",
    "Go on tomorrow (UTC). Pausing, cancelling, revoking and deleting are still possible.",
)
#: The bytes of a small row beside its content: ids, names, and its place in indexes.
ENTRY_BYTES: Final = 256

PAYLOAD_BYTES: Final = Quota(
    "payload_bytes",
    "bytes",
    256 * 1024,
    "size",
    "size of a job's payload as JSON, in bytes",
    "Send a reference to the data.",
)

#: Every quota, in the order of the documentation.
ALL: Final = (
    JOBS,
    JOB_BYTES,
    RUNS_PER_DAY,
    CHANGE_BYTES,
    PAYLOAD_BYTES,
    EVENT_STREAMS,
    USER_EVENT_STREAMS,
    EXPORTS,
    USER_EXPORTS,
    TEST_RUNS,
    USER_TEST_RUNS,
    INVITATIONS,
    MAILS,
)

#: Those whose use is counted in PostgreSQL.
COUNTED: Final = tuple(each for each in ALL if each.is_counted)

BY_NAME: Final = {each.name: each for each in ALL}


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a quota a workspace uses. ``used`` is None for a size."""

    quota: Quota
    bound: int
    used: int | None


class QuotaExceeded(ChronosError):
    """This would be more than the quota of the workspace allows."""

    def __init__(self, use: Use, *, amount: int, seconds: int | None = None) -> None:
        """Refuse ``amount`` more. ``seconds`` is after how long it may be allowed."""
        quota = use.quota
        whose = "Your" if quota.is_of_user else "The workspace's"
        super().__init__(
            f"{whose} quota {quota.name} is {use.bound:,} {quota.unit}; {use.used or 0:,} are "
            f"used, and this needs {amount:,} more. {quota.remedy} The operator of "
            "this installation can raise the quota."
        )
        self.use = use
        self.seconds = seconds
