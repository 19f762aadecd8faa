"""Claim: take executions for this worker, by compare-and-set, obeying overlap policies."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine

from chronos_common import clock, faultpoints, metrics
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.statuses import OverlapPolicy, Status
from chronos_common.errors import Unavailable
from chronos_common.heartbeat import Heartbeat
from chronos_common.storage import changes, executions, overlaps
from chronos_common.storage.database import transaction
from chronos_common.storage.executions import Moved

#: The longest wait for a lease that has ended, before a batch is left to rescue.
LEASE_TIMEOUT_SECONDS = 5.0


class Claimer:
    """Claims executions under this process's current identity."""

    def __init__(self, engine: Engine, heartbeat: Heartbeat) -> None:
        """Take where to claim, and who claims."""
        self._engine = engine
        self._heartbeat = heartbeat

    def claim(
        self, identifiers: Sequence[UUID], specs: Mapping[UUID, JobSpec], *, queue: str
    ) -> list[Claimed]:
        """Return what this worker holds now of the executions of the jobs in ``specs``.

        What was paused, cancelled, taken by another worker, or must not overlap is left out. So is
        what does not belong into ``queue``: anybody who reaches Redis can name any id.
        """
        if not self._heartbeat.wait_for_lease(LEASE_TIMEOUT_SECONDS):
            raise Unavailable("This worker's lease cannot be renewed; nothing new is claimed.")
        now = clock.now()
        policies = {
            job_id: spec.overlap_policy
            for job_id, spec in specs.items()
            if spec.overlap_policy is not OverlapPolicy.ALLOW
        }
        with transaction(self._engine) as connection:
            if policies:
                held_back = overlaps.of_jobs(connection, identifiers, list(policies))
                admitted = overlaps.admit(connection, held_back, policies, now=now)
                identifiers = [*set(identifiers).difference(held_back), *admitted]
            claimed = executions.claim(
                connection,
                identifiers,
                worker_id=self._heartbeat.id,
                now=now,
                queue=queue,
                job_ids=list(specs),
            )
            changes.note(connection, map(_started, claimed))
        faultpoints.reached("claim.committed")
        metrics.CLAIMED.labels(queue).inc(len(claimed))
        metrics.UNCLAIMED.labels(queue).inc(len(identifiers) - len(claimed))
        return claimed


def _started(claimed: Claimed) -> Moved:
    return Moved(
        claimed.id,
        claimed.workspace_id,
        claimed.job_id,
        Status.RUNNING,
        claimed.scheduled_for,
        started_at=None,
        duration_ms=None,
    )
