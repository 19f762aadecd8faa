"""The scheduler as a whole, from its start."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import settings
from chronos_common.storage import health
from chronos_scheduler.service import Scheduler
from factories import Workspace
from rigs import wait_until

HOUR = timedelta(hours=1)


def test_the_first_rows_of_a_day_find_its_partition(
    engine: Engine,
    redis_url: str,
    workspace: Workspace,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails if plan begins while the partitions are made: the day would have none."""
    monkeypatch.setenv("CHRONOS_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("CHRONOS_REDIS_URL", redis_url)
    monkeypatch.setenv("CHRONOS_SECRET_KEY", "x" * 32)
    with engine.begin() as connection:
        for _ in range(20):
            schedule = factories.every(1, anchor=now)
            factories.job(connection, workspace, schedule, now=now, next_run_at=now)

    def planned() -> bool:
        with engine.connect() as connection:
            query = text("SELECT count(DISTINCT scheduled_for) FROM executions")
            return bool(connection.execute(query).scalar_one() >= 2)

    Scheduler(settings.load()).run(wait=lambda: wait_until(planned))
    with engine.connect() as connection:
        assert health.strays(connection, since=now - HOUR) == 0
