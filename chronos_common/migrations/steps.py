"""Steps of revisions on tables that may be large: a running cluster goes on meanwhile.

Only ``upgrade`` and ``downgrade`` of a revision call these. A step commits by itself, so it stands
before or after the revision's other statements, and may run again after an interruption.
"""

from collections.abc import Callable
from typing import Any

from alembic import op
from sqlalchemy import Connection, text

#: Reports a step to the user.
Say = Callable[[str], None]

#: How long a statement waits for a lock. All who need the table wait behind it, and the programs
#: give up after 5 s.
LOCK_SECONDS = 2


def create_index(name: str, table: str, definition: str, *, unique: bool = False) -> None:
    """Create an index without keeping anybody from writing to the table.

    ``definition`` follows the table's name in CREATE INDEX. ``unique`` is not for partitioned
    tables, and breaks the revision off if rows are equal. A partitioned table gets its index
    partition by partition:

    1. The table has the index, marked as invalid. New partitions get theirs with it.
    2. Each partition's index is built concurrently, and attached.
    3. With the last one, PostgreSQL marks the table's index as valid.
    """
    context = op.get_context()
    with context.autocommit_block():
        connection = op.get_bind()
        _drop_unfinished(connection, name)
        if connection.execute(_IS_PARTITIONED, {"table": table}).scalar_one():
            _execute(connection, f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}")
            _index_partitions(connection, name, table, definition)
        else:
            _report(f"index {name}")
            _build(connection, name, table, definition, kind="UNIQUE INDEX" if unique else "INDEX")


def _index_partitions(connection: Connection, name: str, table: str, definition: str) -> None:
    """Build and attach the index of each partition that has none, however many there are now."""
    names = {"table": table, "index": name}
    while (found := connection.execute(_WITHOUT, names).first()) is not None:
        index = f"{name}{found.partition.removeprefix(table)}"
        _report(f"index {name}: {found.partition}, {found.rows:,} rows, {found.left} to go")
        _drop_unfinished(connection, index)
        _build(connection, index, found.partition, definition)
        _execute(connection, f"ALTER INDEX {name} ATTACH PARTITION {index}")


def _build(
    connection: Connection, name: str, table: str, definition: str, *, kind: str = "INDEX"
) -> None:
    # It blocks nobody, and waits for every transaction that is older, so without a time limit.
    _execute(connection, "SET lock_timeout = 0")
    try:
        _execute(
            connection, f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition}"
        )
    finally:
        _execute(connection, f"SET lock_timeout = '{LOCK_SECONDS}s'")


def _drop_unfinished(connection: Connection, name: str) -> None:
    """Drop an index that an interrupted build left behind."""
    if connection.execute(_IS_UNFINISHED, {"index": name}).first() is not None:
        _execute(connection, f"DROP INDEX CONCURRENTLY {name}")


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement.replace("%", "%%"))


def _report(words: str) -> None:
    config = op.get_context().config
    say: Any = config.attributes.get("say") if config else None
    if say is not None:
        say(f"  {words}")


_IS_PARTITIONED = text("SELECT relkind = 'p' FROM pg_class WHERE oid = CAST(:table AS regclass)")

# The index of a partitioned table is invalid until that of each partition is attached.
_IS_UNFINISHED = text("""
    SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indexrelid = to_regclass(:index) AND NOT i.indisvalid AND c.relkind = 'i'""")

_WITHOUT = text("""
    SELECT c.relname AS partition, CAST(greatest(c.reltuples, 0) AS bigint) AS rows,
           count(*) OVER () AS left
      FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
     WHERE p.inhparent = to_regclass(:table)
       AND NOT EXISTS (
           SELECT FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid
            WHERE i.inhparent = to_regclass(:index) AND x.indrelid = c.oid)
     ORDER BY c.relname LIMIT 1""")
