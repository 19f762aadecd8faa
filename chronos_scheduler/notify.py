"""Notify: hand e-mails of the outboxes that are due to the workers.

Each is leased for a while. If no worker reports that it was sent, it is published again.
"""

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
    """Publishes a batch of each outbox at each tick."""

    def __init__(self, engine: Engine, broker: Broker) -> None:
        self._engine = engine
        self._broker = broker

    def tick(self) -> bool:
        """Publish the due e-mails. Return whether there may be more."""
        now = clock.now()
        boxes = (failure_emails.outbox, account_emails.outbox)
        # Most ticks find nothing. This shows it without a transaction or a lock.
        with reading(self._engine) as connection:
            if not outbox.is_any_due(connection, boxes, now=now):
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
