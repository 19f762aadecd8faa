"""Occurrences that the rules of their time zone have moved, as the audit log tells of them."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping

from chronos_common.domain.schedules.humanize import moment
from chronos_common.storage import zone_rules
from chronos_common.storage.executions import explanations


def explain(
    connection: Connection, job: RowMapping, *, since: datetime, until: datetime, now: datetime
) -> str | None:
    """Explain where an occurrence of [``since``, ``until``) by former rules was moved."""
    entries = explanations.log(
        connection,
        job["workspace_id"],
        job["id"],
        actions=[zone_rules.ACTION],
        since=job["created_at"],
        until=now,
        limit=100,
    )
    for entry in entries:
        before, after = entry.details["before"], entry.details["after"]
        if since <= datetime.fromisoformat(before["next_run_at"]) < until:
            moved = after["next_run_at"]
            where = f"at {moment(datetime.fromisoformat(moved))}" if moved else "behind ends_at"
            return (
                f"The rules of the time zone {entry.details['timezone']} changed at "
                f"{moment(entry.at)}: by release {after['timezone_database']} of its database, "
                f"the occurrence of {moment(since)} lies {where}."
            )
    return None
