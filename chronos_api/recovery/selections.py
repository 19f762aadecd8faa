"""The executions that a bulk request is about, and the counts of its dry run.

A dry run answers the instant that it counted at. With the same filter and that instant, the
request takes those executions and no newer ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from chronos_api.fields.pagination import filter_of
from chronos_api.transactions import Session
from chronos_common.clock import MILLISECOND
from chronos_common.domain.statuses import UNFINISHED, Status
from chronos_common.errors import Invalid
from chronos_common.storage.executions import history, recovery
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.recovery import Selection
from chronos_common.storage.pages import Count

#: A dry run is acted upon within this time.
MAX_AGE = timedelta(hours=1)
#: Clocks of clients may be ahead.
MAX_AHEAD = timedelta(seconds=5)

#: Executions that a dry run shows.
SAMPLE = 10


class BulkAction(StrEnum):
    """The actions on many executions."""

    RETRY = "retry"
    DISCARD = "discard"
    CANCEL = "cancel"


#: The statuses that an action is about, unless the request names others.
STATUSES: Mapping[BulkAction, tuple[Status, ...]] = {
    BulkAction.RETRY: (Status.FAILED,),
    BulkAction.DISCARD: (Status.FAILED,),
    BulkAction.CANCEL: tuple(sorted(UNFINISHED)),
}


def selection_of(action: BulkAction, body: Mapping[str, Any], *, now: datetime) -> Selection:
    """Return the executions that ``body`` names. Raises :class:`Invalid`."""
    as_of = _as_of(body.get("as_of"), now)
    # A replay's own executions have ids of its millisecond.
    latest = as_of - MILLISECOND if action is BulkAction.RETRY else as_of
    filters = filter_of(HistoryFilter, body.get("filter", {}), as_of=latest)
    selected = body.get("ids")
    if selected is not None:
        chosen = tuple(dict.fromkeys(selected))
        return Selection(filters=_named(action), as_of=as_of, ids=chosen)
    if filters.statuses is None:
        filters = replace(filters, statuses=STATUSES[action])
    unfit = [status for status in filters.statuses or () if not _fits(action, status)]
    if unfit:
        raise Invalid({"filter.status": [f"'{unfit[0]}' cannot be meant here; remove it."]})
    return Selection(filters=filters, as_of=as_of)


def _named(action: BulkAction) -> HistoryFilter:
    """Return the condition on executions that are named by their ids."""
    fitting = tuple(status for status in Status if _fits(action, status))
    return HistoryFilter(statuses=fitting)


def _fits(action: BulkAction, status: Status) -> bool:
    match action:
        case BulkAction.RETRY:
            return status not in UNFINISHED
        case BulkAction.DISCARD:
            return status is Status.FAILED
        case BulkAction.CANCEL:
            return status in UNFINISHED


def _as_of(given: datetime | None, now: datetime) -> datetime:
    if given is None:
        return now
    if not now - MAX_AGE <= given <= now + MAX_AHEAD:
        raise Invalid({"as_of": ["Must be of the last hour; make another dry run."]})
    return min(given, now)


@dataclass(frozen=True, slots=True)
class DryRun:
    """The number of executions that a request would act upon, and some of them."""

    action: BulkAction
    matched: int
    matched_is_exact: bool
    as_of: datetime
    sample: Sequence[RowMapping]
    dry_run: bool = True


def dry_run(session: Session, action: BulkAction, selection: Selection) -> DryRun:
    """Count the executions of a selection, and return the latest of them."""
    connection, workspace_id = session.connection, session.workspace_id
    found = count(session, selection)
    latest, _ = recovery.matching(connection, workspace_id, selection, at_most=SAMPLE)
    sample = history.find_all(connection, workspace_id, [row["id"] for row in latest])
    return DryRun(action, found.number, found.is_exact, selection.as_of, sample)


def count(session: Session, selection: Selection) -> Count:
    """Count the executions of a selection."""
    return recovery.count(session.connection, session.workspace_id, selection)
