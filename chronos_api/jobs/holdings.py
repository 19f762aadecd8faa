"""The shares of their workspace's quotas that jobs hold, from their creation to their deletion.

A job holds one of ``jobs``, and the bytes of its payload. While it is active, it also holds the
runs that its schedule plans in a day.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from chronos_api.jobs.definition.payload_rules import stored_bytes
from chronos_common.domain.schedules.schedule import runs_per_day
from chronos_common.quotas import JOB_BYTES, JOBS, RUNS_PER_DAY, Quota


def of(rows: Iterable[Mapping[Any, Any]]) -> Counter[Quota]:
    """Return the shares that stored jobs hold."""
    held: Counter[Quota] = Counter()
    for row in rows:
        held[JOBS] += 1
        held[JOB_BYTES] += stored_bytes(row["payload"])
        held[RUNS_PER_DAY] += _runs_of(row) if row["active"] else 0
    return held


def runs(rows: Iterable[Mapping[Any, Any]]) -> int:
    """Return the runs a day that stored jobs hold together while they are active."""
    return sum(_runs_of(row) for row in rows)


def _runs_of(row: Mapping[Any, Any]) -> int:
    return runs_per_day(row["kind"], row["expression"], row["interval_seconds"])


def change(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Mapping[Quota, int]:
    """Return the amounts that a change of a job needs. Negative amounts are given back."""
    held, needed = of([before]), of([after])
    return {quota: needed[quota] - held[quota] for quota in needed}
