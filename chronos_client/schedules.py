"""Schedules: explained in plain words, before a job has them."""

from typing import Any

from chronos_client import documents
from chronos_client.models import SchedulePreview
from chronos_client.transport import Transport


class Schedules:
    """Schedules without a job."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def preview(self, **schedule: Any) -> SchedulePreview:
        """Return a schedule in plain words, with its next instants.

        ``schedule`` has the fields of a job's schedule, and ``count`` and ``after``.
        """
        reply = self._transport.send("POST", "/schedules/preview", body=schedule)
        return documents.read(SchedulePreview, reply.content)

    def explain(
        self, expression: str, *, timezone: str | None = None, count: int | None = None
    ) -> SchedulePreview:
        """Return a cron expression in plain words, with its next instants."""
        return self.preview(
            schedule_type="cron",
            cron_expression=expression,
            **({"timezone": timezone} if timezone else {}),
            **({"count": count} if count else {}),
        )
