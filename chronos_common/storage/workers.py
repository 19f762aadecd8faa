"""The statements on ``workers``: one row per worker or scheduler process, as long as it lives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text


@dataclass(frozen=True, slots=True)
class Process:
    """A process that sends heartbeats. ``kind`` is "worker" or "scheduler"."""

    id: UUID
    kind: str
    hostname: str
    pid: int
    version: str


_REGISTER = text("""
    INSERT INTO workers (id, kind, hostname, pid, version, started_at, heartbeat_at, in_flight)
    VALUES (:id, :kind, :hostname, :pid, :version, :now, :now, 0)""")


def register(connection: Connection, process: Process, *, now: datetime) -> None:
    """Store a new process."""
    connection.execute(
        _REGISTER,
        {
            "id": process.id,
            "kind": process.kind,
            "hostname": process.hostname,
            "pid": process.pid,
            "version": process.version,
            "now": now,
        },
    )


_RENEW = text("""
    UPDATE workers SET heartbeat_at = :now, in_flight = :in_flight WHERE id = :id RETURNING id""")


def renew(connection: Connection, identifier: UUID, *, in_flight: int, now: datetime) -> bool:
    """Renew the heartbeat.

    Return False if the process was declared lost. Others get its executions then, so it must go on
    under a new id.
    """
    rows = connection.execute(_RENEW, {"id": identifier, "in_flight": in_flight, "now": now})
    return rows.one_or_none() is not None


def remove(connection: Connection, identifier: UUID) -> None:
    """Remove a process that ends."""
    connection.execute(text("DELETE FROM workers WHERE id = :id"), {"id": identifier})


def declare_lost(connection: Connection, *, alive_since: datetime) -> int:
    """Remove processes that gave no sign since ``alive_since``, and return their number.

    After the commit their renewals fail. A renewal before it keeps its process.
    """
    rows = connection.execute(
        text("DELETE FROM workers WHERE heartbeat_at <= :alive_since"),
        {"alive_since": alive_since},
    )
    return rows.rowcount


_ALIVE = text("""
    SELECT kind, count(*) AS processes FROM workers
     WHERE heartbeat_at > :alive_since GROUP BY kind""")


def count_alive(connection: Connection, *, alive_since: datetime) -> Mapping[str, int]:
    """Return how many processes of each kind are alive."""
    rows = connection.execute(_ALIVE, {"alive_since": alive_since})
    return {row.kind: row.processes for row in rows}


#: Processes of one list.
MAX_LISTED = 1000

_ALL = text("""
    SELECT id, kind, hostname, pid, version, started_at, heartbeat_at, in_flight,
           heartbeat_at > :alive_since AS alive
      FROM workers ORDER BY kind, hostname, pid, id LIMIT :limit""")


def processes(connection: Connection, *, alive_since: datetime) -> Sequence[RowMapping]:
    """Return workers and schedulers, also those that have just been lost."""
    rows = connection.execute(_ALL, {"alive_since": alive_since, "limit": MAX_LISTED})
    return rows.mappings().all()
