"""Complete: close jobs whose schedule has ended and whose executions are all finished."""

from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction

BATCH = 500


class Completer:
    """Completes a batch of jobs at each tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tick(self) -> bool:
        """Complete jobs. Return whether there may be more."""
        with transaction(self._engine) as connection:
            return jobs.complete_exhausted(connection, batch=BATCH, now=clock.now()) == BATCH
