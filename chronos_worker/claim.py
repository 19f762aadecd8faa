"""Claim: take executions for this worker, by compare-and-set, obeying overlap policies."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine

from chronos_common import clock, metrics
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.statuses import OverlapPolicy
from chronos_common.heartbeat import Heartbeat
from chronos_common.storage import executions, overlaps
from chronos_common.storage.database import transaction


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
        now = clock.now()
        policies = {
            job_id: spec.overlap_policy
            for job_id, spec in specs.items()
            if spec.overlap_policy is not OverlapPolicy.ALLOW
        }
        with transaction(self._engine) as connection:
            if policies:
                held_back = executions.of_jobs(connection, identifiers, list(policies))
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
        metrics.CLAIMED.labels(queue).inc(len(claimed))
        metrics.UNCLAIMED.labels(queue).inc(len(identifiers) - len(claimed))
        return claimed
