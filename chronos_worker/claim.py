"""Claim: take executions for this worker, by compare-and-set, obeying overlap policies.

A connection may break at the commit of a claim. If PostgreSQL has committed it, the executions
belong to a live worker that does not know of them, and no rescue comes. So the worker remembers
such a claim, and gives its executions back later.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from chronos_common import clock, failpoints, metrics
from chronos_common.domain.executions import Claimed, JobSpec, Moved
from chronos_common.domain.jobs import MAX_TIMEOUT_SECONDS
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.statuses import Status
from chronos_common.errors import Unavailable
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage import change_feed, consequences
from chronos_common.storage.executions import claims, overlaps
from chronos_common.storage.postgres.database import transaction

#: The longest wait for a lease to be renewed, before a batch is left to rescue.
LEASE_TIMEOUT_SECONDS = 5.0

#: Unanswered claims that are remembered. The sweep finds the executions of any further ones.
MAX_UNANSWERED = 100
#: How long an unanswered claim is remembered: its commit may wait for a disk or a standby.
REMEMBERED_SECONDS = 2.0 * MAX_TIMEOUT_SECONDS

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """A claim whose commit was not confirmed."""

    claimed: Sequence[Claimed]
    failed_at: float = field(default_factory=monotonic)

    @property
    def is_old(self) -> bool:
        return monotonic() - self.failed_at >= REMEMBERED_SECONDS


class Claimer:
    """Claims executions under this process's current identity, which the heartbeat knows.

    ``on_unanswered`` is called when there is a claim to give back.
    """

    def __init__(
        self,
        engine: Engine,
        heartbeat: Heartbeat,
        *,
        on_unanswered: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._heartbeat = heartbeat
        self._on_unanswered = on_unanswered
        self._unanswered: deque[_Unanswered] = deque()

    def claim(
        self, identifiers: Sequence[UUID], specs: Mapping[UUID, JobSpec], *, queue: str
    ) -> list[Claimed]:
        """Claim executions of the jobs in ``specs`` and return those that this worker holds now.

        Executions that were paused, cancelled, claimed by another worker or must not overlap are
        left out. So are executions of another ``queue``: anyone with access to Redis can name any
        id.
        """
        if not self._heartbeat.wait_for_lease(LEASE_TIMEOUT_SECONDS):
            raise Unavailable("This worker's lease cannot be renewed; nothing new is claimed.")
        now = clock.now()
        policies = {
            job_id: spec.overlap_policy
            for job_id, spec in specs.items()
            if spec.overlap_policy is not OverlapPolicy.ALLOW
        }
        with self._remembered() as claimed, transaction(self._engine) as connection:
            if policies:
                held_back = overlaps.of_jobs(connection, identifiers, list(policies))
                admitted, ended = overlaps.admit(connection, held_back, policies, now=now)
                consequences.write(connection, ended, now=now)
                identifiers = [*set(identifiers).difference(held_back), *admitted]
            claimed.extend(
                claims.claim(
                    connection,
                    identifiers,
                    worker_id=self._heartbeat.id,
                    now=now,
                    queue=queue,
                    job_ids=list(specs),
                )
            )
            change_feed.note(connection, map(_started, claimed))
        failpoints.hit("claim.committed")
        metrics.CLAIMED.labels(queue).inc(len(claimed))
        metrics.UNCLAIMED.labels(queue).inc(len(identifiers) - len(claimed))
        return claimed

    @contextmanager
    def _remembered(self) -> Iterator[list[Claimed]]:
        """Remember the claimed executions if the commit is not confirmed."""
        claimed: list[Claimed] = []
        try:
            yield claimed
        except DBAPIError as error:
            # After any other error PostgreSQL has committed nothing.
            if claimed and error.connection_invalidated and len(self._unanswered) < MAX_UNANSWERED:
                self._unanswered.append(_Unanswered(claimed))
                self._on_unanswered()
            raise

    @property
    def has_unanswered(self) -> bool:
        """Whether a claim may have to be given back."""
        return bool(self._unanswered)

    def give_back_unanswered(self) -> bool:
        """Give back the executions of unanswered claims. The tick of a loop."""
        for _ in range(len(self._unanswered)):
            each = self._unanswered[0]
            with transaction(self._engine) as connection:
                given = claims.give_back(
                    connection,
                    [execution.id for execution in each.claimed],
                    worker_id=each.claimed[0].worker_id,
                    claimed_at=each.claimed[0].claimed_at,
                )
            if given:
                _log.warning("claimed without an answer, given back", executions=given)
            elif not each.is_old:
                self._unanswered.append(each)
            self._unanswered.popleft()
        return False


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
