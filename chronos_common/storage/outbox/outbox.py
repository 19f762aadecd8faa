"""Outboxes: e-mails to send, as rows written in the transaction that causes them.

1. A scheduler takes a row that is due, for a minute or more, and hands its id to the workers.
2. A worker claims it, for as long as sending may take.
3. The worker marks it as sent, or as failed, which holds it until its next attempt is due.

A row comes back if its message, or its worker, is lost. So sending is at least once, but two
workers never send the same row at the same time. Each such table has the same columns for that.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from chronos_common.clock import to_milliseconds

#: Doubled after each attempt: eight attempts stretch over about two hours.
FIRST_DELAY = timedelta(minutes=1)
MAX_ATTEMPTS = 8


def _delay_after(attempts: ColumnElement[int]) -> ColumnElement[timedelta]:
    seconds = FIRST_DELAY.total_seconds() * func.power(2, attempts - 1)
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def is_any_due(connection: Connection, boxes: Sequence["Outbox"], *, now: datetime) -> bool:
    """Return whether any of the outboxes has a due row. Another process may take it first."""
    query = select(or_(*(box.any_due(now) for box in boxes)))
    return bool(connection.execute(query).scalar_one())


class Outbox:
    """The statements on one such table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._waiting = (table.c.sent_at.is_(None), table.c.abandoned_at.is_(None))

    def any_due(self, now: datetime) -> ColumnElement[bool]:
        """Return the condition that :meth:`take` may find something."""
        return exists().where(*self._waiting, self._table.c.due_at <= now)

    def take(self, connection: Connection, *, batch: int, now: datetime) -> list[UUID]:
        """Reserve due rows for a while. Each comes back later unless it is marked as sent."""
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
                due_at=literal(now) + _delay_after(columns.attempts + 1),
            )
            .returning(columns.id)
        )
        return list(connection.execute(taken).scalars())

    def claim(
        self, connection: Connection, identifier: UUID, *, taken_at: datetime, until: datetime
    ) -> bool:
        """Hold a row that was taken at ``taken_at`` until ``until``, for sending it.

        Return False if another worker has held it since, which happens when its message arrives
        twice, or if it was sent or given up.
        """
        columns = self._table.c
        # The time in the message of a scheduler is cut to milliseconds.
        until = to_milliseconds(until)
        is_free = or_(columns.held_until.is_(None), columns.held_until <= taken_at)
        claimed = (
            update(self._table)
            .where(columns.id == identifier, *self._waiting, is_free)
            .values(due_at=until, held_until=until)
            .returning(columns.id)
        )
        return connection.execute(claimed).scalar_one_or_none() is not None

    def mark_sent(
        self,
        connection: Connection,
        identifier: UUID,
        *,
        now: datetime,
        error: str | None = None,
    ) -> None:
        """Mark a row as sent. ``error`` is that of some of its recipients."""
        query = update(self._table).where(self._table.c.id == identifier)
        connection.execute(query.values(sent_at=now, error=error))

    def mark_failed(
        self,
        connection: Connection,
        identifier: UUID,
        *,
        error: str,
        permanent: bool,
        now: datetime,
    ) -> bool:
        """Mark a row as failed. Return True if it will not be tried again."""
        columns = self._table.c
        due_at = literal(to_milliseconds(now)) + _delay_after(columns.attempts)
        is_over = or_(literal(permanent), columns.attempts >= MAX_ATTEMPTS)
        failed = (
            update(self._table)
            .where(columns.id == identifier)
            .values(
                error=error,
                abandoned_at=case((is_over, literal(now))),
                due_at=due_at,
                held_until=due_at,
            )
            .returning(columns.abandoned_at.is_not(None))
        )
        return bool(connection.execute(failed).scalar_one_or_none())

    def postpone(self, connection: Connection, identifier: UUID, *, due_at: datetime) -> None:
        """Hold a row that could not be attempted until ``due_at``. That attempt does not count."""
        columns = self._table.c
        due_at = to_milliseconds(due_at)
        query = update(self._table).where(columns.id == identifier, *self._waiting)
        values = {"attempts": columns.attempts - 1, "due_at": due_at, "held_until": due_at}
        connection.execute(query.values(values))

    def count_overdue(self, connection: Connection, *, before: datetime) -> int:
        """Return the number of rows that were due before ``before``."""
        query = select(func.count()).where(*self._waiting, self._table.c.due_at < before)
        return int(connection.execute(query).scalar_one())

    def prune(self, connection: Connection, *, before: datetime) -> int:
        """Remove rows that were created before ``before``, and return their number."""
        query = delete(self._table).where(self._table.c.created_at < before)
        return connection.execute(query).rowcount
