"""Query parameters as the filters of lists."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chronos_api.fields import cursors
from chronos_api.jobs.service import JobsWanted
from chronos_common.storage.executions.history import HistoryFilter
from chronos_common.storage.jobs.filters import JobFilter

_JOB_CONDITIONS = (
    "status",
    "type",
    "name",
    "tag",
    "search",
    "next_run_after",
    "next_run_before",
    "last_outcome",
    "as_of",
)


def jobs(query: Mapping[str, Any]) -> JobFilter:
    """Return which jobs ``query`` means."""
    return JobFilter(**{name: query.get(name) for name in _JOB_CONDITIONS})


def jobs_wanted(query: Mapping[str, Any]) -> JobsWanted:
    """Return which part of which list ``query`` asks for. Raises :class:`Invalid`."""
    sort = query["sort"].removeprefix("-")
    return JobsWanted(
        chosen=jobs(query),
        sort=sort,
        descending=query["sort"].startswith("-"),
        page=query["page"],
        limit=query["limit"],
        after=cursors.read_position(query.get("cursor"), sort),
    )


def executions(query: Mapping[str, Any], job_id: UUID | None = None) -> HistoryFilter:
    """Return which executions ``query`` means; ``job_id`` is that of the path, if it has one."""
    return HistoryFilter(
        job_id=job_id or query.get("job_id"),
        status=query.get("status"),
        trigger=query.get("trigger"),
        since=query.get("since"),
        until=query.get("until"),
        as_of=query.get("as_of"),
        http_statuses=_http_statuses(query.get("http_status")),
        min_duration_ms=query.get("min_duration_ms"),
        before=cursors.read(query.get("cursor")),
    )


def _http_statuses(text: str | None) -> tuple[int, int] | None:
    """Return the lowest and the highest status that ``503`` or ``5xx`` means."""
    if text is None:
        return None
    return int(text.replace("x", "0")), int(text.replace("x", "9"))
