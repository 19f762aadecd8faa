"""Notify: hand e-mails of the outboxes that are due to the workers.

Each is leased for a while. If no worker reports that it was sent, it is published again. While
messages wait for long, as for a mail server that hangs, or while Redis is away, e-mails wait in
PostgreSQL: a lease counts as an attempt.
"""

from datetime import datetime, timedelta
from itertools import chain

import structlog
from sqlalchemy import Engine

from chronos_common import clock, failpoints
from chronos_common.broker import Batch, Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.storage.outbox import account_emails, failure_emails, outbox
from chronos_common.storage.postgres.database import reading, transaction

_log = structlog.get_logger(__name__)

BATCH = 100


class Notifier:
    """Publishes a batch of each outbox at each tick, unless messages wait for ``max_queued``."""

    def __init__(self, engine: Engine, broker: Broker, *, max_queued: timedelta) -> None:
        self._engine = engine
        self._broker = broker
        self._max_queued = max_queued
        #: Whether due e-mails wait because their queue is full, or Redis is away.
        self.is_held_up = False

    def tick(self) -> bool:
        """Publish the due e-mails. Return whether there may be more."""
        now = clock.now()
        boxes = (failure_emails.outbox, account_emails.outbox)
        # Most ticks find nothing. This shows it without a transaction or a lock.
        with reading(self._engine) as connection:
            is_due = outbox.is_any_due(connection, boxes, now=now)
        self.is_held_up = is_due and self._is_full(now)
        if not is_due or self.is_held_up:
            return False
        with transaction(self._engine) as connection:
            taken_of = [box.take(connection, batch=BATCH, now=now) for box in boxes]
        taken = list(chain.from_iterable(taken_of))
        if not taken:
            return False
        failpoints.hit("notify.taken")
        batches = [Batch(queues.NOTIFICATIONS, [identifier], now) for identifier in taken]
        try:
            self._broker.publish(batches, now=now)
        except BrokerUnavailable:
            _log.warning("publish failed", notifications=len(taken), exc_info=True)
            return False
        return any(len(each) == BATCH for each in taken_of)

    def _is_full(self, now: datetime) -> bool:
        """Return whether messages wait for too long, or Redis does not answer."""
        try:
            published_at = self._broker.oldest().get(queues.NOTIFICATIONS)
        except BrokerUnavailable:
            return True
        return published_at is not None and now - published_at >= self._max_queued
