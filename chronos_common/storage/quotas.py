"""The statements on ``workspace_quotas``: what each workspace uses, and bounds of its own.

A use is spent by a statement that holds the row's lock until its transaction ends, so that
requests side by side do not pass a bound together. Spend at the end of a transaction: then the
lock is held for a short time, and no other lock is awaited under it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.quotas import ALL, BY_NAME, COUNTED, Quota, QuotaExceeded, Use
from chronos_common.storage.postgres.prepared_statements import prepared

# Rows are locked in the order of their names, and none while one is missing, which would be locked
# later than its place. So two transactions cannot deadlock. The use
# of another day counts as none. Giving back is never refused.
_SPEND = prepared(
    text("""
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:quotas AS text[]), CAST(:amounts AS bigint[]),
                             CAST(:bounds AS bigint[]), CAST(:daily AS boolean[]),
                             CAST(:refusable AS boolean[]))
               AS a (quota, amount, bound, is_daily, is_refusable)),
    locked AS MATERIALIZED (
        SELECT quota, bound, used, day FROM workspace_quotas
         WHERE workspace_id = :workspace_id AND quota = ANY(CAST(:quotas AS text[]))
           AND (SELECT count(*) FROM workspace_quotas
                 WHERE workspace_id = :workspace_id AND quota = ANY(CAST(:quotas AS text[])))
               = cardinality(CAST(:quotas AS text[]))
         ORDER BY quota FOR UPDATE),
    sums AS (
        SELECT quota, a.amount <= 0 OR NOT a.is_refusable AS is_free,
               coalesce(l.bound, a.bound) AS bound,
               CASE WHEN a.is_daily AND l.day IS DISTINCT FROM CAST(:today AS date) THEN 0
                    ELSE l.used END + a.amount AS used
          FROM asked a JOIN locked l USING (quota))
    UPDATE workspace_quotas q SET used = greatest(s.used, 0), day = CAST(:today AS date)
      FROM sums s
     WHERE q.workspace_id = :workspace_id AND q.quota = s.quota
       AND (s.is_free OR s.used <= s.bound)
 RETURNING q.quota""")
)

# A workspace gets its rows when it needs them, so that a new quota needs no migration.
_ADD_ROWS = text("""
    INSERT INTO workspace_quotas (workspace_id, quota)
    SELECT w.id, quota FROM workspaces w, unnest(CAST(:quotas AS text[])) AS quota
     WHERE w.id = :workspace_id
     ORDER BY quota
    ON CONFLICT DO NOTHING""")


def spend(
    connection: Connection,
    workspace_id: UUID,
    amounts: Mapping[Quota, int],
    *,
    settings: Any,
    now: datetime,
    unrefusable: Collection[Quota] = (),
) -> None:
    """Add ``amounts`` to the use of the workspace. A negative amount gives back.

    Raises :class:`QuotaExceeded` if one of them does not fit. The caller then rolls back. Quotas
    that are ``unrefusable`` are added to past their bound.
    """
    wanted = {quota: amount for quota, amount in amounts.items() if amount}
    if not wanted:
        return
    parameters = {"workspace_id": workspace_id, "today": _day(now)}
    parameters |= _asked(wanted, unrefusable, settings)
    spent = set(connection.execute(_SPEND, parameters).scalars())
    if len(spent) < len(wanted):
        connection.execute(_ADD_ROWS, parameters)
        missing = {each: wanted[each] for each in wanted if each.name not in spent}
        parameters |= _asked(missing, unrefusable, settings)
        spent |= set(connection.execute(_SPEND, parameters).scalars())
    refused = next((each for each in wanted if each.name not in spent), None)
    if refused is not None:
        uses = of_workspace(connection, workspace_id, settings=settings, now=now)
        use = next(each for each in uses if each.quota is refused)
        seconds = refused.seconds_to_wait(now)
        raise QuotaExceeded(use, amount=wanted[refused], seconds=seconds)


def _asked(
    amounts: Mapping[Quota, int], unrefusable: Collection[Quota], settings: Any
) -> dict[str, Any]:
    return {
        "quotas": [each.name for each in amounts],
        "amounts": list(amounts.values()),
        "bounds": [each.bound(settings) for each in amounts],
        "daily": [each.kind == "daily" for each in amounts],
        "refusable": [each not in unrefusable for each in amounts],
    }


_GIVE_BACK = text("""
    UPDATE workspace_quotas SET used = greatest(used - :amount, 0)
     WHERE workspace_id = :workspace_id AND quota = :quota""")


def give_back(connection: Connection, quota: Quota, amounts: Mapping[UUID, int]) -> None:
    """Subtract from the use of some workspaces, by their ids, in an order that all follow."""
    for workspace_id in sorted(amounts):
        if amounts[workspace_id]:
            connection.execute(
                _GIVE_BACK,
                {
                    "workspace_id": workspace_id,
                    "quota": quota.name,
                    "amount": amounts[workspace_id],
                },
            )


_OF_WORKSPACE = text("""
    SELECT quota, bound, used, day FROM workspace_quotas WHERE workspace_id = :workspace_id""")


def of_workspace(
    connection: Connection, workspace_id: UUID, *, settings: Any, now: datetime
) -> list[Use]:
    """Return every quota of a workspace, with its bound and its use."""
    rows = connection.execute(_OF_WORKSPACE, {"workspace_id": workspace_id}).mappings()
    stored = {row["quota"]: row for row in rows}
    return [_use(each, stored.get(each.name), settings, now) for each in ALL]


def _use(quota: Quota, row: Mapping[Any, Any] | None, settings: Any, now: datetime) -> Use:
    default = quota.bound(settings)
    if row is None:
        return Use(quota, default, 0 if quota.is_counted else None)
    bound = default if row["bound"] is None else row["bound"]
    is_over = quota.kind == "daily" and row["day"] != _day(now)
    used = 0 if is_over else row["used"]
    return Use(quota, bound, used if quota.is_counted else None)


def bound_of(connection: Connection, workspace_id: UUID, quota: Quota, *, settings: Any) -> int:
    """Return the bound of one quota for a workspace."""
    own = connection.execute(_BOUND, {"workspace_id": workspace_id, "quota": quota.name}).scalar()
    return quota.bound(settings) if own is None else int(own)


_BOUND = prepared(
    text("""
    SELECT bound FROM workspace_quotas
     WHERE workspace_id = :workspace_id AND quota = CAST(:quota AS text)""")
)

_SET_BOUND = text("""
    INSERT INTO workspace_quotas (workspace_id, quota, bound)
    VALUES (:workspace_id, :quota, :bound)
    ON CONFLICT (workspace_id, quota) DO UPDATE SET bound = excluded.bound""")


def set_bound(connection: Connection, workspace_id: UUID, quota: Quota, bound: int | None) -> None:
    """Give a workspace a bound of its own. None stands for the setting's."""
    parameters = {"workspace_id": workspace_id, "quota": quota.name, "bound": bound}
    connection.execute(_SET_BOUND, parameters)


@dataclass(frozen=True, slots=True)
class Near:
    """A workspace that uses most of a quota."""

    workspace_id: UUID
    name: str
    use: Use


_NEAR = """
      FROM unnest(CAST(:quotas AS text[]), CAST(:bounds AS bigint[]), CAST(:daily AS boolean[]))
           AS a (quota, bound, is_daily)
      JOIN workspace_quotas q USING (quota) JOIN workspaces w ON w.id = q.workspace_id
     WHERE q.used > 0 AND q.used >= 0.8 * coalesce(q.bound, a.bound)
       AND (NOT a.is_daily OR q.day = CAST(:today AS date))"""
_LARGEST = text(f"""
    SELECT q.workspace_id, w.name, q.quota, q.bound, q.used, q.day {_NEAR}
     ORDER BY q.used / greatest(coalesce(q.bound, a.bound), 1.0) DESC
     LIMIT :most""")
_COUNT_NEAR = text(f"SELECT q.quota, count(*) AS workspaces {_NEAR} GROUP BY q.quota")


def count_near(connection: Connection, *, settings: Any, now: datetime) -> dict[str, int]:
    """Return for each quota how many workspaces use most of it."""
    rows = connection.execute(_COUNT_NEAR, _of_all(settings, now))
    found = {row.quota: row.workspaces for row in rows}
    return {each.name: found.get(each.name, 0) for each in COUNTED}


def _of_all(settings: Any, now: datetime) -> dict[str, Any]:
    return {
        "quotas": [each.name for each in COUNTED],
        "bounds": [each.bound(settings) for each in COUNTED],
        "daily": [each.kind == "daily" for each in COUNTED],
        "today": _day(now),
    }


def near_bounds(
    connection: Connection, *, settings: Any, now: datetime, most: int
) -> Sequence[Near]:
    """Return the workspaces that use most of a quota, the fullest first."""
    parameters = _of_all(settings, now) | {"most": most}
    return list(_near(connection.execute(_LARGEST, parameters).mappings(), settings, now))


def _near(rows: Any, settings: Any, now: datetime) -> Iterator[Near]:
    for row in rows:
        yield Near(
            row["workspace_id"], row["name"], _use(BY_NAME[row["quota"]], row, settings, now)
        )


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
