"""The consequences of executions that moved, written in the transaction that moved them.

Statements that end executions return them as ``Moved``. Each of their callers hands these to
:func:`write`, and so writes every consequence. A further one, like an alert, is a function and a
line in :data:`CONSEQUENCES`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Connection

from chronos_common.domain.executions import Moved
from chronos_common.storage import change_feed
from chronos_common.storage.executions import statistics
from chronos_common.storage.outbox import failure_emails


class Consequence(Protocol):
    """A consequence of executions that moved. It decides by their status which rows to write."""

    def __call__(
        self, connection: Connection, moved: Sequence[Moved], /, *, now: datetime
    ) -> None:
        """Write the consequence in the transaction that moved the executions."""


#: All consequences, in the order in which they are written.
CONSEQUENCES: Final[tuple[Consequence, ...]] = (
    change_feed.note_moved,
    statistics.add,
    failure_emails.enqueue,
)


def write(
    connection: Connection,
    moved: Sequence[Moved],
    *,
    now: datetime,
    consequences: Sequence[Consequence] = CONSEQUENCES,
) -> None:
    """Write the consequences of executions that moved, in order."""
    for consequence in consequences:
        consequence(connection, moved, now=now)
