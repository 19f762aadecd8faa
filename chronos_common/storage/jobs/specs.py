"""What workers need of jobs, for the executions that they are about to claim.

A test run has no job, and is performed as if it had one: ``spec_of`` is where both get what they
have in common, and what the workspace adds.

Thousands of executions a second are mostly of jobs that have not changed since their last one. The
transactions that wrote the rows (``xmin``; PostgreSQL manual, section 5.6) tell a job's state, and
what is known is not read, parsed and built again.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.executions import JobSpec
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import OverlapPolicy
from chronos_common.storage.jobs.jobs import policy_of

#: Specs kept; at a few KiB each they must not become a worker's memory.
MAX_KEPT = 10_000
#: Payloads above this are read anew each time.
MAX_KEPT_BYTES = 4 << 10

# One text for each job is read in a fraction of the time that its parts take.
_STATE = "concat(j.id, '/', j.xmin, '/', w.xmin)"

_STATES = text(f"""
    SELECT {_STATE} FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id IN (SELECT job_id FROM executions WHERE id = ANY(CAST(:ids AS uuid[])))""")  # noqa: S608 - constants

#: What a spec has of its workspace ``w``.
OF_WORKSPACE = """w.signing_secret, w.default_webhook_url,
           CASE WHEN w.previous_secret_until > now() THEN w.previous_signing_secret END
               AS previous_signing_secret"""

_SPECS = text(f"""
    SELECT j.id, j.workspace_id, j.name, j.type, CAST(j.payload AS text) AS payload,
           j.timeout_seconds, j.max_attempts,
           j.retry_delays, j.backoff_seconds, j.backoff_factor, j.backoff_cap_seconds,
           j.retry_jitter, j.overlap_policy, {OF_WORKSPACE}, {_STATE} AS state
      FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id = ANY(CAST(:ids AS uuid[]))""")  # noqa: S608 - constants


class Specs:
    """Reads specs, and keeps them; used by many threads at once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        # By the job's state, so that what is known of an earlier one is never found again.
        self._kept: dict[str, JobSpec] = {}

    def of(self, connection: Connection, execution_ids: Sequence[UUID]) -> dict[UUID, JobSpec]:
        """Return, by job id, what a worker needs to perform these executions."""
        states = connection.execute(_STATES, {"ids": list(execution_ids)}).scalars().all()
        known = [self._kept.get(state) for state in states]
        found = {spec.id: spec for spec in known if spec is not None}
        unknown = [
            UUID(state.partition("/")[0])
            for state, spec in zip(states, known, strict=True)
            if spec is None
        ]
        if unknown:
            for row in connection.execute(_SPECS, {"ids": unknown}):
                found[row.id] = self._keep(row)
        return found

    def _keep(self, row: Any) -> JobSpec:
        policy = OverlapPolicy(row.overlap_policy)
        spec = spec_of(row, name=row.name, policy=policy_of(row), overlap_policy=policy)
        # A previous secret ends by the clock, which no state tells.
        if len(row.payload) <= MAX_KEPT_BYTES and spec.previous_signing_secret is None:
            if len(self._kept) >= MAX_KEPT:
                # Among jobs that take turns, the oldest is the next one needed.
                self._kept.clear()
            self._kept[row.state] = spec
        return spec


def spec_of(row: Any, *, name: str, policy: RetryPolicy, overlap_policy: OverlapPolicy) -> JobSpec:
    """Return the spec of a row that has ``payload`` as text and what is :data:`OF_WORKSPACE`."""
    return JobSpec(
        id=row.id,
        workspace_id=row.workspace_id,
        name=name,
        type=row.type,
        payload=_payload(row.payload),
        timeout_seconds=row.timeout_seconds,
        policy=policy,
        overlap_policy=overlap_policy,
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
