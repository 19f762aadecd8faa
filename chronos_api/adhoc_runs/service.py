"""Test runs: a payload performed once, now, by a worker, without a job."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from chronos_api.jobs.definition import default_webhooks
from chronos_api.security.access import Principal
from chronos_common import ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain import payloads, queues
from chronos_common.errors import NoAnswer, Unavailable
from chronos_common.storage import adhoc_runs
from chronos_common.storage.adhoc_runs import TestRun
from chronos_common.storage.postgres.database import transaction

#: Of one process; each occupies a thread.
MAX_AT_ONCE = 4

#: How long a worker may take to begin, and to tell its result, beyond the run's own timeout.
PATIENCE = timedelta(seconds=8)

_FIRST_SECONDS = 1.0
_OFTEN_SECONDS = 0.05
_SELDOM_SECONDS = 0.1

_places = BoundedSemaphore(MAX_AT_ONCE)


class TooManyTestRuns(Unavailable):
    """Enough test runs are under way; try again when one has ended."""


class NoWorkerAnswered(NoAnswer):
    """No worker answered in time; see whether one runs: GET /api/v1/ready."""


def run(
    engine: Engine,
    broker: Broker,
    who: Principal,
    wanted: Mapping[str, Any],
    *,
    now: datetime,
    patience: timedelta = PATIENCE,
) -> tuple[UUID, Mapping[str, Any]]:
    """Have a worker perform a payload, and return the id of the run and its result.

    Raises :class:`Invalid`, :class:`Unavailable` and :class:`NoWorkerAnswered`.
    """
    with transaction(engine) as connection:
        default_url = default_webhooks.url_for(connection, who.workspace_id, wanted)
    payloads.parse(wanted["type"], wanted["payload"], default_url=default_url)
    started = TestRun(
        id=ids.new_id(now),
        workspace_id=who.workspace_id,
        type=wanted["type"],
        payload=wanted["payload"],
        timeout_seconds=wanted["timeout_seconds"],
    )
    if not _places.acquire(blocking=False):
        raise TooManyTestRuns
    try:
        return started.id, _result_of(engine, broker, started, patience, now=now)
    finally:
        _places.release()


def _result_of(
    engine: Engine, broker: Broker, started: TestRun, patience: timedelta, *, now: datetime
) -> Mapping[str, Any]:
    longest = timedelta(seconds=started.timeout_seconds) + patience
    with transaction(engine) as connection:
        adhoc_runs.prune(connection, now=now)
        adhoc_runs.add(connection, started, now=now, expires_at=now + longest)
    broker.publish([Batch(queues.TESTS, [started.id], now)], now=now)
    result = _waited_for(engine, started.id, longest.total_seconds())
    if result is None:
        with transaction(engine) as connection:
            adhoc_runs.remove(connection, started.id)
        raise NoWorkerAnswered
    return result


def _waited_for(engine: Engine, identifier: UUID, seconds: float) -> Mapping[str, Any] | None:
    """Look for the result every now and then, each time in a transaction of its own."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(_OFTEN_SECONDS if passed < _FIRST_SECONDS else _SELDOM_SECONDS)
        with transaction(engine) as connection:
            result = adhoc_runs.take_result(connection, identifier)
        if result is not None:
            return result
    return None
