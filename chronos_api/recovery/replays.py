"""Replays: bulk retries that a scheduler makes at a rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.fields.pagination import Page, read_page
from chronos_api.recovery import selections
from chronos_api.transactions import Call, Session, Transaction, begin, reading
from chronos_common.errors import Conflict, Invalid, NotFound
from chronos_common.storage import replays
from chronos_common.storage.executions.recovery import Selection
from chronos_common.storage.replays import NewReplay, ReplayState

#: Replays of a workspace that are not over.
MAX_OPEN = 5


class ReplayNotFound(NotFound):
    """There is no such replay in this workspace."""


class TooManyReplays(Conflict):
    """Five replays are running or paused. Wait for one, or cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a replay goes on: its executions a second, its order, and a note for others."""

    rate_per_second: float
    oldest_first: bool
    note: str | None


def start(call: Call, selection: Selection, options: Options) -> RowMapping:
    """Begin a replay of a selection, and return it.

    Raises :class:`Invalid` if nothing matches, and :class:`TooManyReplays`.
    """
    with begin(call) as tx:
        if replays.count_open(tx.connection, tx.workspace_id) >= MAX_OPEN:
            raise TooManyReplays
        found = selections.count(tx, selection)
        if not found.number and found.is_exact:
            raise Invalid(
                {"filter" if selection.ids is None else "ids": ["Matches no execution."]}
            )
        new = NewReplay(
            selection=selection,
            matched=found.number,
            matched_is_exact=found.is_exact,
            rate_per_second=options.rate_per_second,
            oldest_first=options.oldest_first,
            note=options.note,
        )
        replay_id = replays.add(
            tx.connection, tx.workspace_id, new, created_by=tx.principal.user_id, now=tx.now
        )
        row = _find(tx, replay_id)
        _audit(tx, "replay.create", row, matched=found.number, filter=row["filter"])
        return row


def list_replays(call: Call, *, after: UUID | None, page: int, limit: int) -> Page[UUID]:
    """Return a page of the workspace's replays, the latest first."""
    with reading(call) as session:
        query = partial(replays.page, session.connection, session.workspace_id, after=after)
        return read_page(query, page=page, limit=limit)


def read(call: Call, replay_id: UUID) -> Mapping[str, Any]:
    """Return a replay, and how its executions have ended. Raises :class:`ReplayNotFound`."""
    with reading(call) as session:
        row = _find(session, replay_id)
        return {**row, "outcomes": replays.outcomes(session.connection, row)}


def move(call: Call, replay_id: UUID, state: ReplayState) -> RowMapping:
    """Pause, resume or cancel a replay, and return it. A second call changes nothing.

    Executions that it made already go on. Raises :class:`ReplayNotFound`, and
    :class:`Conflict` if it is over.
    """
    with begin(call) as tx:
        row = _find(tx, replay_id, lock=True)
        if row["state"] == state:
            return row
        if row["state"] not in replays.OPEN:
            raise Conflict(f"The replay is {row['state']} already; start another one.")
        replays.move(tx.connection, replay_id, state, now=tx.now)
        _audit(tx, _ACTIONS[state], row)
        return _find(tx, replay_id)


_ACTIONS = {
    ReplayState.RUNNING: "replay.resume",
    ReplayState.PAUSED: "replay.pause",
    ReplayState.CANCELLED: "replay.cancel",
}


def _find(session: Session, replay_id: UUID, *, lock: bool = False) -> RowMapping:
    row = replays.find(session.connection, session.workspace_id, replay_id, lock=lock)
    if row is None:
        raise ReplayNotFound
    return row


def _audit(tx: Transaction, action: str, row: RowMapping, **details: Any) -> None:
    tx.audit(action, "replay", {row["id"]: {"created": row["created"], **details}})
