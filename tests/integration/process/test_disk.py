"""``chronos doctor`` says how the history grows, and when the disk is full."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine

import factories
from chronos_common.doctor import disk
from chronos_common.doctor.findings import Level
from chronos_common.storage.executions import partitions
from factories import StoreJob, Workspace

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("days", "level"),
    [(2, Level.PROBLEM), (9, Level.WARNING), (10_000, Level.OK), (None, Level.OK)],
)
def test_it_says_when_the_disk_is_full(
    engine: Engine,
    a_job: StoreJob,
    workspace: Workspace,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    days: int | None,
    level: Level,
) -> None:
    job_id, yesterday = a_job(), now - DAY
    with engine.begin() as connection:
        partitions.create(connection, yesterday.date())
        factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=yesterday
        )
        size = partitions.sizes(connection)[yesterday.date()]
    assert size > 8192
    free = SimpleNamespace(free=size * (days or 0))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: free)
    folder = None if days is None else tmp_path
    [found] = disk.disk(engine, retention=30_000 * DAY, now=now, folder=folder)
    assert (found.topic, found.level) == ("disk", level)
    assert (f"the disk is full in {days} days" in found.says) is (level is not Level.OK)
    assert "with 30000 days kept" in found.says
