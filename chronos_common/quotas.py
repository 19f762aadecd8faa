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

_NEARLY: Final = 0.8


@dataclass(frozen=True, slots=True)
class Quota:
    """A bound on the use of one workspace.

    ``kind`` is where the use stands. "kept" ends with a deletion, "daily" with the day in UTC.
    "open" is counted in Redis, while a request of a client goes on. A "size" bounds each single
    thing, so that there is no use.
    ``remedy`` is the sentence of a refusal that says what the user can do.
    """

    name: str
    unit: str
    default: int
    kind: Literal["kept", "daily", "open", "size"]
    help: str
    remedy: str

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
PAYLOAD_BYTES: Final = Quota(
    "payload_bytes",
    "bytes",
    256 * 1024,
    "size",
    "size of a job's payload as JSON, in bytes",
    "Send a reference to the data.",
)

#: Every quota, in the order of the documentation.
ALL: Final = (PAYLOAD_BYTES, INVITATIONS, MAILS)

#: Those whose use is counted in PostgreSQL.
COUNTED: Final = tuple(each for each in ALL if each.is_counted)

BY_NAME: Final = {each.name: each for each in ALL}


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a quota a workspace uses. ``used`` is None for a size."""

    quota: Quota
    bound: int
    used: int | None

    @property
    def is_near(self) -> bool:
        """Return whether four fifths of the bound are used."""
        return self.used is not None and self.used >= _NEARLY * self.bound


class QuotaExceeded(ChronosError):
    """This would be more than the quota of the workspace allows."""

    def __init__(self, use: Use, *, amount: int, seconds: int | None = None) -> None:
        """Refuse ``amount`` more. ``seconds`` is after how long it may be allowed."""
        quota = use.quota
        super().__init__(
            f"The workspace's quota {quota.name} is {use.bound:,} {quota.unit}; it uses "
            f"{use.used or 0:,}, and this needs {amount:,} more. {quota.remedy} The operator of "
            "this installation can raise the quota."
        )
        self.use = use
        self.seconds = seconds
