"""Complete: close jobs whose schedule has ended and whose executions are all finished."""

from collections import Counter
from uuid import UUID

from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.domain.schedules.schedule import runs_per_day
from chronos_common.quotas import RUNS_PER_DAY
from chronos_common.storage import quotas
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

BATCH = 500


class Completer:
    """Completes a batch of jobs at each tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tick(self) -> bool:
        """Complete jobs, which plan no more runs. Return whether there may be more."""
        with transaction(self._engine) as connection:
            completed = jobs.complete_exhausted(connection, batch=BATCH, now=clock.now())
            runs: Counter[UUID] = Counter()
            for row in completed:
                runs[row["workspace_id"]] += runs_per_day(
                    row["kind"], row["expression"], row["interval_seconds"]
                )
            quotas.give_back(connection, RUNS_PER_DAY, runs)
        return len(completed) == BATCH
