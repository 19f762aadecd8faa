"""Failure e-mails: they tell a job's recipients about final failures.

Recipients are settled one by one. A row names those that have the e-mail, and those that
will never get it.
"""

from uuid import UUID

from sqlalchemy import Connection, Engine

from chronos_common import failpoints
from chronos_common.storage.jobs import schedules
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.outbox.failure_emails import FailureEmail
from chronos_common.storage.postgres.database import transaction
from chronos_worker.delivery import Announcement, Channel, Delivery
from chronos_worker.emails.permission import MailPermission
from chronos_worker.outbox import failure_texts
from chronos_worker.outbox.sender import OutboxSender, Report


class FailureEmailSender(OutboxSender[FailureEmail]):
    """Sends e-mails about one failure, and digests of many."""

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        permission: MailPermission,
        *,
        public_url: str,
    ) -> None:
        super().__init__(engine, failure_emails.outbox, channel, public_url=public_url)
        self._permission = permission

    def _load(self, connection: Connection, identifier: UUID) -> FailureEmail | None:
        return failure_emails.load(connection, identifier)

    def _deliver(self, row: FailureEmail) -> Delivery:
        settled = {*row.delivered, *row.refused}
        waiting = len(set(row.recipients) - settled)
        with self._permission.sending(row.workspace_id, waiting) as sending:
            delivery = self._channel.send(self._announcement(row), row.recipients, settled=settled)
            sending.delivery = delivery
        failpoints.hit("failure_email.sent")
        return delivery

    def _announcement(self, row: FailureEmail) -> Announcement:
        with transaction(self._engine) as connection:
            if row.failures > 1:
                errors = failure_emails.errors_of(connection, row)
                return failure_texts.digest(row, errors, public_url=self._public_url)
            schedule = schedules.find(connection, row.job_id)
        return failure_texts.single(row, schedule, public_url=self._public_url)

    def _report(self, row: FailureEmail, delivery: Delivery) -> Report:
        """Count the row as sent once a recipient has it and none is deferred."""
        refused = {**row.refused, **delivery.refused_for_good, **delivery.deferred}
        error = "; ".join(f"{address}: {reason}" for address, reason in refused.items()) or None
        if delivery.deferred or not (row.delivered or delivery.accepted):
            return Report(
                is_sent=False,
                error=error or "It has no recipients.",
                permanent=not delivery.deferred,
            )
        return Report(is_sent=True, error=error)

    def _mark_recipients(
        self, connection: Connection, row: FailureEmail, delivery: Delivery
    ) -> None:
        failure_emails.mark_recipients(
            connection,
            row.id,
            delivered=delivery.accepted,
            refused=delivery.refused_for_good,
        )

    def _log_fields(self, row: FailureEmail) -> dict[str, str]:
        return {"execution_id": str(row.execution_id)}
