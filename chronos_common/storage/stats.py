"""The statements on ``execution_stats``: sums per workspace, minute and final status.

The dashboard reads these, never the history.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.statuses import FINAL
from chronos_common.storage.executions import Moved

_MILLISECOND = timedelta(milliseconds=1)

# Rows are locked in the order of their keys, so that two recorders cannot deadlock.
_ADD = text("""
    INSERT INTO execution_stats AS s (workspace_id, minute, status, executions, duration_ms_sum,
                                      drift_ms_sum, drift_ms_max)
    SELECT * FROM unnest(CAST(:workspaces AS uuid[]), CAST(:minutes AS timestamptz[]),
                         CAST(:statuses AS text[]), CAST(:counts AS bigint[]),
                         CAST(:durations AS bigint[]), CAST(:drifts AS bigint[]),
                         CAST(:max_drifts AS integer[]))
     ORDER BY 1, 2, 3
    ON CONFLICT (workspace_id, minute, status) DO UPDATE
       SET executions = s.executions + excluded.executions,
           duration_ms_sum = s.duration_ms_sum + excluded.duration_ms_sum,
           drift_ms_sum = s.drift_ms_sum + excluded.drift_ms_sum,
           drift_ms_max = greatest(s.drift_ms_max, excluded.drift_ms_max)""")


def add(connection: Connection, moved: Iterable[Moved], *, now: datetime) -> None:
    """Count the executions among ``moved`` that reached their fate, in the minute of ``now``."""
    sums: dict[tuple[UUID, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in moved:
        if each.status in FINAL:
            drift = drift_ms(each)
            total = sums[each.workspace_id, each.status]
            total[0] += 1
            total[1] += each.duration_ms or 0
            total[2] += drift
            total[3] = max(total[3], drift)
    if not sums:
        return
    minute = now.replace(second=0, microsecond=0)
    connection.execute(
        _ADD,
        {
            "workspaces": [workspace_id for workspace_id, _ in sums],
            "minutes": [minute] * len(sums),
            "statuses": [status for _, status in sums],
            "counts": [total[0] for total in sums.values()],
            "durations": [total[1] for total in sums.values()],
            "drifts": [total[2] for total in sums.values()],
            "max_drifts": [total[3] for total in sums.values()],
        },
    )


def drift_ms(moved: Moved) -> int:
    """Return the milliseconds from the scheduled instant to the first start; 0 if none."""
    if moved.started_at is None:
        return 0
    # A week is far past any drift that says something, and fits the column.
    return min((moved.started_at - moved.scheduled_for) // _MILLISECOND, 604_800_000)


_PRUNE = text("DELETE FROM execution_stats WHERE minute < :before")


def prune(connection: Connection, *, before: datetime) -> int:
    """Remove sums of minutes before ``before``; return how many rows."""
    return connection.execute(_PRUNE, {"before": before}).rowcount
