"""Notices: sends the failure e-mails of the outbox."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock, metrics
from chronos_common.domain.outcomes import Failed
from chronos_common.storage import notifications
from chronos_common.storage.database import transaction
from chronos_common.storage.notifications import Notification
from chronos_worker.mail import Mailer

_log = structlog.get_logger(__name__)


class Notices:
    """Sends notifications and marks them, each on its own."""

    def __init__(self, engine: Engine, mailer: Mailer, *, public_url: str) -> None:
        """Take where to read, how to send, and where a reader finds the API."""
        self._engine = engine
        self._mailer = mailer
        self._public_url = public_url

    def send(self, identifiers: Sequence[UUID], _fire_at: datetime) -> None:
        """Send what of these was not sent yet. One that fails comes back later."""
        with transaction(self._engine) as connection:
            found = notifications.load(connection, identifiers)
        for notification in found:
            self._send(notification)
