"""The recovery desk: groups of failures, discarded failures, cancelled executions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from chronos_api.recovery.selections import BulkAction
from chronos_api.transactions import Call, Transaction, begin, reading
from chronos_common.domain.statuses import Resolution, Status
from chronos_common.errors import Invalid
from chronos_common.storage.executions import history, recovery
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.recovery import GroupKey, Groups, Selection
from chronos_common.storage.jobs import jobs

#: Executions of one transaction: a discard writes a row and an entry of the log for each.
MAX_DISCARDED = 10_000
#: A cancellation also writes statistics, and holds the locks of running executions.
MAX_CANCELLED = 1000


def groups(call: Call, filters: HistoryFilter, by: GroupKey) -> tuple[Groups, dict[str, str]]:
    """Return the groups of failures, and the names of the jobs that groups stand for."""
    if filters.statuses is None and not filters.open_failures:
        filters = replace(filters, statuses=(Status.FAILED,))
    with reading(call) as session:
        found = recovery.groups(session.connection, session.workspace_id, filters, by)
        keys = [UUID(row["key"]) for row in found.rows] if by is GroupKey.JOB else []
        names = jobs.names_of(session.connection, keys) if keys else {}
    return found, {str(job_id): name for job_id, name in names.items()}


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """How many executions were meant, and how many of them changed."""

    action: BulkAction
    matched: int
    changed: int
    as_of: datetime
    matched_is_exact: bool = True
    dry_run: bool = False
    sample: Sequence[Any] = ()


def discard(call: Call, selection: Selection) -> RecoveryResult:
    """Resolve failures without running them again.

    Raises :class:`Invalid` if more than :data:`MAX_DISCARDED` match.
    """
    with begin(call) as tx:
        found = _matching(tx, selection, MAX_DISCARDED)
        resolved = recovery.resolve(
            tx.connection,
            tx.workspace_id,
            found,
            Resolution.DISCARDED,
            by=tx.principal.user_id,
            now=tx.now,
        )
        details = {each: {"job_id": str(job_id)} for each, job_id in resolved.items()}
        tx.audit("execution.discard", "execution", details)
    return RecoveryResult(BulkAction.DISCARD, len(found), len(resolved), selection.as_of)


def cancel(call: Call, selection: Selection) -> RecoveryResult:
    """End unfinished executions. Raises :class:`Invalid` if more than :data:`MAX_CANCELLED` match.

    Those that end meanwhile by themselves stay as they ended.
    """
    with begin(call) as tx:
        found = _matching(tx, selection, MAX_CANCELLED)
        ended = history.cancel(tx.connection, tx.workspace_id, found, now=tx.now)
        tx.moved(ended)
        details = {each.id: {"job_id": str(each.job_id)} for each in ended}
        tx.audit("execution.cancel", "execution", details)
    return RecoveryResult(BulkAction.CANCEL, len(found), len(ended), selection.as_of)


def _matching(tx: Transaction, selection: Selection, at_most: int) -> list[UUID]:
    rows, is_all = recovery.matching(
        tx.connection, tx.workspace_id, selection, at_most=at_most + 1
    )
    if len(rows) > at_most or not is_all:
        raise Invalid({"filter": [f"Matches more than {at_most} executions; narrow it."]})
    return [row["id"] for row in rows]
