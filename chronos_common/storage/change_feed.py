"""What a transaction changed, told as it commits to whoever follows its engine.

The statements that move executions and those that note what users did tell it here, so that
nothing which changes something has to think of live events.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, event

from chronos_common.domain.executions import Moved

_NOTED = "chronos_changes"


@dataclass(frozen=True, slots=True)
class UserAction:
    """What a user did to a thing, like ``job.pause``."""

    workspace_id: UUID
    subject_type: str
    subject_id: UUID
    action: str


Change = Moved | UserAction


def follow(engine: Engine, tell: Callable[[Sequence[Change]], None]) -> None:
    """Call ``tell``, which must not wait or raise, with what each transaction changed.

    It is called just before the commit is sent, so a change that is told may still fail.
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
    """Remember changes until the transaction ends, if anybody follows its engine."""
    noted = connection.info.get(_NOTED)
    if noted is not None:
        noted.extend(changes)
