"""PostgreSQL's writes: bytes of its log, and rows by table."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, text

_WAL = text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")

# Partitions count as their table.
_ROWS = text("""
    SELECT CASE WHEN relname LIKE 'executions_%' AND relname <> 'execution_stats'
                THEN 'executions' ELSE relname END AS name,
           sum(n_tup_ins) AS inserted, sum(n_tup_upd) AS updated, sum(n_tup_hot_upd) AS hot
      FROM pg_stat_user_tables GROUP BY 1""")


@dataclass(frozen=True)
class Writes:
    """Counters until now. ``rows`` are (inserted, updated, of these heap-only) by table."""

    wal_bytes: int
    rows: Mapping[str, tuple[int, int, int]]

    def since(self, before: "Writes") -> "Writes":
        """Return the writes since ``before``."""
        rows = {
            name: tuple(
                now - then
                for now, then in zip(counts, before.rows.get(name, (0, 0, 0)), strict=True)
            )
            for name, counts in self.rows.items()
        }
        return Writes(
            self.wal_bytes - before.wal_bytes,
            {name: (ins, upd, hot) for name, (ins, upd, hot) in rows.items()},
        )

    @property
    def row_count(self) -> int:
        """How many rows were inserted or updated."""
        return sum(inserted + updated for inserted, updated, _ in self.rows.values())

    @property
    def hot_ratio(self) -> float:
        """The part of the updates that wrote no index."""
        updated = sum(updated for _, updated, _ in self.rows.values())
        return sum(hot for _, _, hot in self.rows.values()) / updated if updated else 1.0


def measure(engine: Engine) -> Writes:
    """Read the counters. A backend's own rows may be a second late."""
    with engine.connect() as connection:
        wal = int(connection.execute(_WAL).scalar_one())
        rows = connection.execute(_ROWS).all()
    return Writes(
        wal, {row.name: (int(row.inserted), int(row.updated), int(row.hot)) for row in rows}
    )
