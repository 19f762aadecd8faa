"""The changes of a transaction, handed to the followers of its engine as it commits.

The consequences of executions and the audit log add the changes here. So the callers of
statements need not publish live events.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, event

from chronos_common.domain.executions import Moved

_NOTED = "chronos_changes"


@dataclass(frozen=True, slots=True)
class UserAction:
    """An action of a user on a subject, like ``job.pause``."""

    workspace_id: UUID
    subject_type: str
    subject_id: UUID
    action: str


Change = Moved | UserAction


def follow(engine: Engine, tell: Callable[[Sequence[Change]], None]) -> None:
    """Call ``tell`` with the changes of each transaction. It must not wait or raise.

    It is called just before the commit is sent, so the commit may still fail.
    """

    def begin(connection: Connection) -> None:
        connection.info[_NOTED] = []

    def commit(connection: Connection) -> None:
        noted = connection.info.get(_NOTED)
        if noted:
            tell(noted)

    event.listen(engine, "begin", begin)
    event.listen(engine, "commit", commit)


def note(connection: Connection, changes: Iterable[Change]) -> None:
    """Add changes to those of the transaction, if its engine has followers."""
    noted = connection.info.get(_NOTED)
    if noted is not None:
        noted.extend(changes)


def note_moved(
    connection: Connection,
    moved: Iterable[Moved],
    *,
    now: datetime,  # noqa: ARG001 - consequences have one signature
) -> None:
    """Add executions that moved, which become live events."""
    note(connection, moved)
