"""Notify: hand failure e-mails that are due to the workers.

A notification is taken for a while. If no worker says that it was sent, it comes back.
"""

import structlog
from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.broker import Batch, Broker, BrokerUnavailable
from chronos_common.domain import queues
from chronos_common.storage import notifications
from chronos_common.storage.database import transaction

_log = structlog.get_logger(__name__)

BATCH = 100


class Notifier:
    """Publishes a batch of notifications at each tick."""

    def __init__(self, engine: Engine, broker: Broker) -> None:
        """Take where to read and where to publish."""
        self._engine = engine
        self._broker = broker

    def tick(self) -> bool:
        """Publish what is due; True if there may be more."""
        now = clock.now()
        with transaction(self._engine) as connection:
            taken = notifications.take(connection, batch=BATCH, now=now)
        if not taken:
            return False
        batches = [Batch(queues.NOTIFICATIONS, [identifier], now) for identifier in taken]
        try:
            self._broker.publish(batches, now=now)
        except BrokerUnavailable:
            _log.warning("publish failed", notifications=len(taken), exc_info=True)
            return False
        return len(taken) == BATCH
