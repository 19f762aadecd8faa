"""The daily partitions of ``executions``: made ahead of time, dropped past their retention."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

from chronos_common import ids

_PREFIX = "executions_"
_DAY = timedelta(days=1)

# Longer than an ordinary statement holds a partition, and short enough to go unnoticed.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '2s'")

# Any number that is not the migrations'.
_LOCK_KEY = 0x43_48_52_50


def lock(connection: Connection) -> None:
    """Lock the right to change partitions until the transaction ends.

    From here on, the transaction waits at most two seconds for any lock.
    """
    connection.execute(_LOCK_TIMEOUT)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


_EXISTING = text("""
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'executions'::regclass AND c.relname <> 'executions_default'
     ORDER BY c.relname""")


def existing(connection: Connection) -> Sequence[date]:
    """Return the days that have a partition of their own, oldest first."""
    return [_day_of(name) for name in connection.execute(_EXISTING).scalars()]


_SIZES = text("""
    SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'executions'::regclass AND c.relname <> 'executions_default'""")


def sizes(connection: Connection) -> dict[date, int]:
    """Return the bytes of each day on disk, its indexes included."""
    return {_day_of(row.name): row.bytes for row in connection.execute(_SIZES)}


_FIRST = text("SELECT id FROM executions WHERE id >= :lowest AND id < :end ORDER BY id LIMIT 1")


def first_of(connection: Connection, day: date) -> datetime | None:
    """Return the instant of the first occurrence of ``day``, or None if it has none."""
    parameters = {"lowest": _lowest(day), "end": _lowest(day + _DAY)}
    first = connection.execute(_FIRST, parameters).scalar_one_or_none()
    return ids.moment_of(first) if first else None


def create(connection: Connection, day: date) -> bool:
    """Create the partition of ``day``. Return False if the default partition holds rows of it.

    Those rows stay there, because a statement that was planned before they moved would not find
    them. Attaching locks the parent only lightly, so that the hot path goes on.
    """
    name, lowest, highest = _name_of(day), _lowest(day), _lowest(day + _DAY)
    connection.exec_driver_sql("LOCK TABLE executions_default IN ACCESS EXCLUSIVE MODE")
    strays = connection.exec_driver_sql(
        f"SELECT FROM executions_default WHERE id >= '{lowest}' AND id < '{highest}' LIMIT 1"
    )
    if strays.first() is not None:
        return False
    connection.exec_driver_sql(
        f"CREATE TABLE {name} (LIKE executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS) "
        # Room for the claim of each row beside it: a heap-only update touches no index.
        # Vacuums are frequent, and take their time: one in a hurry makes requests late.
        "WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01)"
    )
    connection.exec_driver_sql(
        f"ALTER TABLE executions ATTACH PARTITION {name} "
        f"FOR VALUES FROM ('{lowest}') TO ('{highest}')"
    )
    return True


def unfinished_in(connection: Connection, day: date) -> int:
    """Return the number of unfinished executions of ``day``."""
    count = f"SELECT count(*) FROM {_name_of(day)} WHERE finished_at IS NULL"  # noqa: S608 - a date
    return int(connection.exec_driver_sql(count).scalar_one())


def drop(connection: Connection, day: date) -> None:
    """Remove the history of ``day``."""
    connection.exec_driver_sql(f"DROP TABLE {_name_of(day)}")


_PRUNE_DEFAULT = text("""
    DELETE FROM executions_default WHERE id < :lowest AND finished_at < :finished_before""")


def prune_default(connection: Connection, *, before: datetime) -> int:
    """Remove finished executions from the default partition, and return their number."""
    rows = connection.execute(
        _PRUNE_DEFAULT, {"lowest": ids.lowest_at(before), "finished_before": before}
    )
    return rows.rowcount


def _name_of(day: date) -> str:
    return f"{_PREFIX}{day:%Y%m%d}"


def _day_of(name: str) -> date:
    return date.fromisoformat(name.removeprefix(_PREFIX))


def _lowest(day: date) -> str:
    return str(ids.lowest_at(datetime(day.year, day.month, day.day, tzinfo=UTC)))
