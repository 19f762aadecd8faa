"""The statements that write ``execution_stats`` and ``execution_stats_hourly``.

Both hold the same sums per workspace, final status and span of time. One has a row for each
minute, the other a row for each hour, so that days are added up from few rows. ``trends`` reads
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain import histograms
from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import FINAL
from chronos_common.storage.executions.trends import MINUTES_KEPT

_DAY_MS = 86_400_000
_LONGEST_DRIFT_MS = 7 * _DAY_MS

# Every session runs the same plan, and both parts take their rows in the order of their keys, so
# that two recorders cannot deadlock. The join leaves out workspaces that are gone: their
# executions must not keep others' outcomes from being recorded.
_ADD_TO = """
    INSERT INTO {table} AS s (workspace_id, {span}, status, executions, duration_ms_sum,
                              drift_ms_sum, drift_ms_max, drift_counts)
    SELECT workspace_id, date_trunc('{span}', CAST(:now AS timestamptz)), status, executions,
           durations, drifts, longest, CAST(counts AS integer[]) FROM added
    ON CONFLICT (workspace_id, {span}, status) DO UPDATE
       SET executions = s.executions + excluded.executions,
           duration_ms_sum = s.duration_ms_sum + excluded.duration_ms_sum,
           drift_ms_sum = s.drift_ms_sum + excluded.drift_ms_sum,
           drift_ms_max = greatest(s.drift_ms_max, excluded.drift_ms_max),
           drift_counts = ARRAY(
               SELECT coalesce(b.old, 0) + coalesce(b.new, 0)
                 FROM unnest(s.drift_counts, excluded.drift_counts) AS b (old, new))"""
_ADD = text(f"""
    WITH added AS MATERIALIZED (
        SELECT a.* FROM unnest(CAST(:workspaces AS uuid[]), CAST(:statuses AS text[]),
                               CAST(:executions AS bigint[]), CAST(:durations AS bigint[]),
                               CAST(:drifts AS bigint[]), CAST(:longest AS integer[]),
                               CAST(:counts AS text[]))
               AS a (workspace_id, status, executions, durations, drifts, longest, counts)
          JOIN workspaces w ON w.id = a.workspace_id
         ORDER BY a.workspace_id, a.status),
    minutes AS ({_ADD_TO.format(table="execution_stats", span="minute")})
    {_ADD_TO.format(table="execution_stats_hourly", span="hour")}""")  # noqa: S608 - constants


@dataclass(slots=True)
class _Sums:
    """The sums over the executions of one workspace that ended in one status."""

    executions: int = 0
    durations: int = 0
    drifts: int = 0
    longest: int = 0
    counts: list[int] = field(default_factory=list)

    def add(self, moved: Moved) -> None:
        self.executions += 1
        self.durations += moved.duration_ms or 0
        if moved.started_at is not None:
            drift = drift_ms(moved)
            self.drifts += drift
            self.longest = max(self.longest, drift)
            histograms.add(self.counts, drift)


def add(connection: Connection, moved: Sequence[Moved], *, now: datetime) -> None:
    """Count the finished executions among ``moved`` in the minute of ``now``."""
    found: dict[tuple[UUID, str], _Sums] = {}
    for each in moved:
        if each.status in FINAL:
            key = each.workspace_id, each.status
            sums = found.get(key)
            if sums is None:
                sums = found[key] = _Sums()
            sums.add(each)
    if not found:
        return
    connection.execute(
        _ADD,
        {
            "now": now,
            "workspaces": [workspace_id for workspace_id, _ in found],
            "statuses": [status for _, status in found],
            "executions": [sums.executions for sums in found.values()],
            "durations": [sums.durations for sums in found.values()],
            "drifts": [sums.drifts for sums in found.values()],
            "longest": [sums.longest for sums in found.values()],
            "counts": [f"{{{','.join(map(str, sums.counts))}}}" for sums in found.values()],
        },
    )


def drift_ms(moved: Moved) -> int:
    """Return the milliseconds from the scheduled instant to the first start, or 0."""
    if moved.started_at is None:
        return 0
    drift = moved.started_at - moved.scheduled_for
    # Whole arithmetic on the parts takes a third of a division of timedeltas.
    milliseconds = drift.days * _DAY_MS + drift.seconds * 1000 + drift.microseconds // 1000
    # A week is far past any drift that says something, and fits the column.
    return min(milliseconds, _LONGEST_DRIFT_MS)


_PRUNE = text("""
    DELETE FROM execution_stats WHERE minute < :minutes_before;
    DELETE FROM execution_stats_hourly WHERE hour < :hours_before""")


def prune(connection: Connection, *, before: datetime, now: datetime) -> None:
    """Remove sums of hours before ``before``, and of minutes that no trend shows any more."""
    minutes_before = max(before, now - MINUTES_KEPT)
    connection.execute(_PRUNE, {"minutes_before": minutes_before, "hours_before": before})
