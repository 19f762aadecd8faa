"""What workers need of jobs, for the executions that they are about to claim.

Thousands of executions a second are mostly of jobs that have not changed since their last one. A
row's version (``xmin``: the transaction that wrote it; PostgreSQL manual, section 5.6) tells,
and what is known is not read, parsed and built again.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.executions import JobSpec
from chronos_common.domain.statuses import JobType, OverlapPolicy
from chronos_common.storage.jobs import policy_of

#: Specs kept; at a few KiB each they must not become a worker's memory.
MAX_KEPT = 10_000
#: Payloads above this are read anew each time.
MAX_KEPT_BYTES = 4 << 10

_VERSIONS = text("""
    SELECT j.id, CAST(j.xmin AS text) || '/' || CAST(w.xmin AS text)
      FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id IN (SELECT job_id FROM executions WHERE id = ANY(CAST(:ids AS uuid[])))""")

_SPECS = text("""
    SELECT j.id, j.workspace_id, j.name, j.type, CAST(j.payload AS text) AS payload,
           j.timeout_seconds, j.max_attempts,
           j.retry_delays, j.backoff_seconds, j.backoff_factor, j.backoff_cap_seconds,
           j.retry_jitter, j.overlap_policy, w.signing_secret, w.default_webhook_url,
           CASE WHEN w.previous_secret_until > now() THEN w.previous_signing_secret END
               AS previous_signing_secret,
           CAST(j.xmin AS text) || '/' || CAST(w.xmin AS text) AS row_version
      FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id = ANY(CAST(:ids AS uuid[]))""")


class Specs:
    """Reads specs, and keeps them; used by many threads at once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._kept: dict[UUID, tuple[str, JobSpec]] = {}

    def of(self, connection: Connection, execution_ids: Sequence[UUID]) -> dict[UUID, JobSpec]:
        """Return, by job id, what a worker needs to perform these executions."""
        versions = connection.execute(_VERSIONS, {"ids": list(execution_ids)}).all()
        found: dict[UUID, JobSpec] = {}
        unknown: list[UUID] = []
        for job_id, version in versions:
            kept = self._kept.get(job_id)
            if kept is not None and kept[0] == version:
                found[job_id] = kept[1]
            else:
                unknown.append(job_id)
        if unknown:
            for row in connection.execute(_SPECS, {"ids": unknown}):
                found[row.id] = self._keep(row)
        return found

    def _keep(self, row: Any) -> JobSpec:
        spec = _spec(row)
        # A previous secret ends by the clock, which no version tells.
        if len(row.payload) <= MAX_KEPT_BYTES and spec.previous_signing_secret is None:
            if len(self._kept) >= MAX_KEPT:
                # Among jobs that take turns, the oldest is the next one needed.
                self._kept.clear()
            self._kept[spec.id] = row.row_version, spec
        return spec


def _spec(row: Any) -> JobSpec:
    return JobSpec(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        type=JobType(row.type),
        payload=_payload(row.payload),
        timeout_seconds=row.timeout_seconds,
        policy=policy_of(row),
        overlap_policy=OverlapPolicy(row.overlap_policy),
        signing_secret=row.signing_secret,
        default_webhook_url=row.default_webhook_url,
        previous_signing_secret=row.previous_signing_secret,
    )


def _payload(stored: str) -> Any:
    """Return the JSON as Python has it, or None: one job's numbers or depth can be too much."""
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return None
