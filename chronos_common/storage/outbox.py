"""Outboxes: e-mails to send, as rows written in the transaction that causes them.

Sending is at least once: a row is taken for a while, and comes back if nobody says that it was
sent. Each such table has the same columns for that.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Table, case, delete, func, literal, or_, select, update

#: Doubled after each attempt: eight attempts stretch over about two hours.
FIRST_DELAY = timedelta(minutes=1)
MAX_ATTEMPTS = 8


class Outbox:
    """The statements on one such table."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table
        self._waiting = (table.c.sent_at.is_(None), table.c.abandoned_at.is_(None))

    def take(self, connection: Connection, *, batch: int, now: datetime) -> list[UUID]:
        """Take rows that are due; each comes back later unless it is marked as sent."""
        columns = self._table.c
        due = (
            select(columns.id)
            .where(*self._waiting, columns.due_at <= now)
            .order_by(columns.due_at)
            .limit(batch)
            .with_for_update(skip_locked=True)
            .cte("due")
            .prefix_with("MATERIALIZED")
        )
        taken = (
            update(self._table)
            .where(columns.id == due.c.id)
            .values(
                attempts=columns.attempts + 1,
                due_at=literal(now)
                + func.make_interval(
                    0, 0, 0, 0, 0, 0, FIRST_DELAY.total_seconds() * func.power(2, columns.attempts)
                ),
            )
            .returning(columns.id)
        )
        return list(connection.execute(taken).scalars())

    def mark_sent(self, connection: Connection, identifier: UUID, *, now: datetime) -> None:
        """Note that it was sent."""
        query = update(self._table).where(self._table.c.id == identifier)
        connection.execute(query.values(sent_at=now, error=None))

    def mark_failed(
        self,
        connection: Connection,
        identifier: UUID,
        *,
        error: str,
        permanent: bool,
        now: datetime,
    ) -> bool:
        """Note that sending failed; True if it is not tried again."""
        columns = self._table.c
        is_over = or_(literal(permanent), columns.attempts >= MAX_ATTEMPTS)
        failed = (
            update(self._table)
            .where(columns.id == identifier)
            .values(error=error, abandoned_at=case((is_over, literal(now))))
            .returning(columns.abandoned_at.is_not(None))
        )
        return bool(connection.execute(failed).scalar_one_or_none())

    def count_overdue(self, connection: Connection, *, before: datetime) -> int:
        """Return how many should have been taken by ``before``."""
        query = select(func.count()).where(*self._waiting, self._table.c.due_at < before)
        return int(connection.execute(query).scalar_one())

    def prune(self, connection: Connection, *, before: datetime) -> int:
        """Remove what was created before ``before``; return how many."""
        query = delete(self._table).where(self._table.c.created_at < before)
        return connection.execute(query).rowcount
