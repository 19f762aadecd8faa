"""Test runs: a payload performed once, now, by a worker, without a job."""

import time
from collections.abc import Mapping
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from chronos_api import leases
from chronos_api.jobs import service as jobs
from chronos_api.jobs.definition import definitions, payload_rules, secrets
from chronos_api.transactions import Call, Session, begin, reading
from chronos_api.workspaces import mail_permission
from chronos_common import ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain import queues
from chronos_common.errors import Invalid, NoAnswer, Unavailable
from chronos_common.quotas import TEST_RUNS, USER_TEST_RUNS
from chronos_common.storage import adhoc_runs
from chronos_common.storage.adhoc_runs import TestRun

#: Limit of one process. Each run occupies a thread.
MAX_AT_ONCE = 4

#: Time for a worker to begin and to report the result, beyond the run's own timeout.
GRACE = timedelta(seconds=8)

#: Interval between looks at the result, during the first second and afterwards.
_FIRST_SECONDS = 1.0
_OFTEN_SECONDS = 0.05
_SELDOM_SECONDS = 0.1

_permits = BoundedSemaphore(MAX_AT_ONCE)


class TooManyTestRuns(Unavailable):
    """Enough test runs are under way. Try again when one has ended."""


class NoWorkerAnswered(NoAnswer):
    """No worker answered in time. See whether one runs: GET /api/v1/ready."""


def run(
    call: Call, broker: Broker, request: Mapping[str, Any], *, grace: timedelta = GRACE
) -> tuple[UUID, Mapping[str, Any]]:
    """Have a worker perform a payload, and return the id of the run and its result.

    Raises :class:`Invalid`, :class:`JobNotFound`, :class:`QuotaExceeded`, :class:`Unavailable`
    and :class:`NoWorkerAnswered`.
    """
    with reading(call) as session:
        payload = _with_secrets(session, request)
        default_url = definitions.default_url_for(session, request)
        mail_permission.check_fields(session, request["type"])
    payload_rules.check(request["type"], payload, default_url=default_url)
    started = TestRun(
        id=ids.new_id(call.now),
        workspace_id=call.workspace_id,
        type=request["type"],
        payload=payload,
        timeout_seconds=request["timeout_seconds"],
    )
    lease = leases.take(call, TEST_RUNS, USER_TEST_RUNS)
    try:
        return started.id, _permitted(call, broker, started, grace)
    finally:
        lease.release()


def _with_secrets(session: Session, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the payload with the secrets of the job that the request names.

    They go where an edit of the job would let them go: to the same server.
    """
    payload: Mapping[str, Any] = request["payload"]
    if "job_id" not in request:
        return payload
    row = jobs.find(session, request["job_id"])
    stored = row["payload"] if row["type"] == request["type"] else None
    restored, faults = secrets.restored(request["type"], payload, stored)
    if faults:
        raise Invalid(faults)
    return restored


def _permitted(
    call: Call, broker: Broker, started: TestRun, grace: timedelta
) -> Mapping[str, Any]:
    """Perform the run with a permit of this process."""
    if not _permits.acquire(blocking=False):
        raise TooManyTestRuns
    try:
        return _result_of(call, broker, started, grace)
    finally:
        _permits.release()


def _result_of(
    call: Call, broker: Broker, started: TestRun, grace: timedelta
) -> Mapping[str, Any]:
    longest = timedelta(seconds=started.timeout_seconds) + grace
    with begin(call) as tx:
        adhoc_runs.prune(tx.connection, now=tx.now)
        adhoc_runs.add(tx.connection, started, now=tx.now, expires_at=tx.now + longest)
    broker.publish([Batch(queues.TESTS, [started.id], call.now)], now=call.now)
    result = _wait_for_result(call, started.id, longest.total_seconds())
    if result is None:
        with begin(call) as tx:
            adhoc_runs.remove(tx.connection, started.id)
        raise NoWorkerAnswered
    return result


def _wait_for_result(call: Call, identifier: UUID, seconds: float) -> Mapping[str, Any] | None:
    """Look for the result again and again, each time in a transaction of its own."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(_OFTEN_SECONDS if passed < _FIRST_SECONDS else _SELDOM_SECONDS)
        with begin(call) as tx:
            result = adhoc_runs.take_result(tx.connection, identifier)
        if result is not None:
            return result
    return None
