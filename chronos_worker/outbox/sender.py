"""The sender of an outbox: the steps that are the same for every e-mail that Chronos itself sends.

1. Claim the row, so that no other worker sends it, and load it.
2. Deliver it through the channel.
3. Mark it as sent, or as failed. A failed row is sent again later, unless it failed for good. One
   that this worker could not attempt comes back soon.

A subclass knows one outbox: how a row is loaded and announced, and when it counts as sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from chronos_common import clock, metrics
from chronos_common.domain.outcomes import POSTPONED_BY
from chronos_common.errors import Invalid
from chronos_common.storage.outbox.outbox import Outbox
from chronos_common.storage.postgres.database import transaction
from chronos_worker import exhaustion
from chronos_worker.delivery import Channel, Delivery, NotDelivered

_log = structlog.get_logger(__name__)

#: A worker holds a row for so much longer than sending may take. No other one sends it meanwhile.
HOLD_MARGIN = timedelta(seconds=60)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Report:
    """The end of an attempt to send a row. ``error`` may concern some of the recipients only."""

    is_sent: bool
    error: str | None = None
    permanent: bool = False


class OutboxSender(ABC, Generic[Row]):
    """Sends the rows of one outbox, each on its own. Thread-safe."""

    def __init__(
        self, engine: Engine, outbox: Outbox, channel: Channel, *, public_url: str
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._channel = channel
        self._public_url = public_url.rstrip("/")

    def send(self, identifiers: Sequence[UUID], taken_at: datetime) -> list[UUID]:
        """Send the rows of this outbox that were taken at ``taken_at`` and not claimed since.

        Return the other identifiers.
        """
        return [each for each in identifiers if not self._send_if_claimed(each, taken_at)]

    def _send_if_claimed(self, identifier: UUID, taken_at: datetime) -> bool:
        until = clock.now() + self._channel.longest_send + HOLD_MARGIN
        with transaction(self._engine) as connection:
            if not self._outbox.claim(connection, identifier, taken_at=taken_at, until=until):
                return False
            row = self._load(connection, identifier)
        if row is not None:
            self._send(identifier, row)
        return True

    def _send(self, identifier: UUID, row: Row) -> None:
        delivery = None
        try:
            delivery = self._deliver(row)
        except NotDelivered as error:
            report = Report(is_sent=False, error=str(error), permanent=error.permanent)
        except Invalid as error:
            # A later message could not hold it either.
            report = Report(is_sent=False, error=str(error), permanent=True)
        except Exception as error:
            lack = exhaustion.lack_behind(error)
            if lack is None:
                raise
            self._postpone(identifier, row, lack)
            return
        else:
            report = self._report(row, delivery)
        with transaction(self._engine) as connection:
            if delivery:
                self._mark_recipients(connection, row, delivery)
            result = self._mark(connection, identifier, report)
        metrics.NOTIFICATIONS.labels(result).inc()
        if not report.is_sent:
            _log.warning(
                "e-mail not sent",
                error=report.error,
                abandoned=result == "abandoned",
                **self._log_fields(row),
            )

    def _postpone(self, identifier: UUID, row: Row, lack: str) -> None:
        due_at = clock.now() + POSTPONED_BY
        with transaction(self._engine) as connection:
            self._outbox.postpone(connection, identifier, due_at=due_at)
        _log.warning("e-mail not attempted", lacking=lack, **self._log_fields(row))

    def _mark(self, connection: Connection, identifier: UUID, report: Report) -> str:
        """Mark a row, and return the metric's label of its result."""
        now = clock.now()
        if report.is_sent:
            self._outbox.mark_sent(connection, identifier, now=now, error=report.error)
            return "sent"
        is_abandoned = self._outbox.mark_failed(
            connection,
            identifier,
            error=report.error or "",
            permanent=report.permanent,
            now=now,
        )
        return "abandoned" if is_abandoned else "failed"

    @abstractmethod
    def _load(self, connection: Connection, identifier: UUID) -> Row | None:
        """Return a claimed row, or None if nothing is left to send."""

    @abstractmethod
    def _deliver(self, row: Row) -> Delivery:
        """Send the row through the channel. Raises :class:`NotDelivered` or :class:`Invalid`."""

    @abstractmethod
    def _report(self, row: Row, delivery: Delivery) -> Report:
        """Return whether the row counts as sent after a delivery."""

    def _mark_recipients(self, connection: Connection, row: Row, delivery: Delivery) -> None:
        """Store which recipients are settled. An outbox of single recipients has nothing to do."""

    @abstractmethod
    def _log_fields(self, row: Row) -> dict[str, str]:
        """Return the fields that name a row in the log."""


def send_each(
    senders: Sequence[OutboxSender[Any]], identifiers: Sequence[UUID], taken_at: datetime
) -> None:
    """Send rows of several outboxes, which share a queue. Each claims its own."""
    others: Sequence[UUID] = identifiers
    for sender in senders:
        others = sender.send(others, taken_at)
