"""Whether the server would take the jobs of a file."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chronos_api.http.json_body import made
from chronos_api.jobs.schemas import JobFields
from chronos_common.domain import payloads
from chronos_common.domain.schedules.fields import from_fields

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SOME_JOB = UUID(int=1)


def check(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Raise if the API refuses a job, or if two have the same name."""
    assert len({each["name"] for each in jobs}) == len(jobs)
    for each in jobs:
        loaded = made(JobFields).load(each)
        payloads.parse(loaded.get("type", payloads.DEFAULT_TYPE), loaded["payload"])
        from_fields(loaded, job_id=_SOME_JOB, now=_NOW)
