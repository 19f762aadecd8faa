"""Webhooks between the claim and the recorder: what a worker does when targets hang."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

import factories
from chronos_common import clock, settings
from chronos_common.domain import queues
from chronos_common.heartbeat import Heartbeat
from chronos_common.storage import executions
from chronos_common.storage.specs import Specs
from chronos_worker import webhooks
from chronos_worker.recorder import Recorder
from chronos_worker.webhooks import POSTPONED_BY, Webhooks
from factories import Workspace
from rigs import wait_until
from targets import Target, hang


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    target.answer = hang
    target.start()
    yield target
    target.close()


@pytest.fixture
def heartbeat(engine: Engine) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(engine, kind="worker", timeout=timedelta(seconds=15))
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


def test_what_waits_for_targets_that_hang_does_not_fill_the_memory(
    engine: Engine,
    workspace: Workspace,
    heartbeat: Heartbeat,
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "MAX_WAITING", 2)
    monkeypatch.setattr(webhooks, "WATCH_AFTER", timedelta(0))
    for name, value in {
        "DATABASE_URL": "postgresql://unused/unused",
        "REDIS_URL": "redis://unused",
        "SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "EGRESS_ALLOW": "127.0.0.0/8",
        "MAX_TRANSFERS": "1",
    }.items():
        monkeypatch.setenv(f"CHRONOS_{name}", value)
    now = clock.now()
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        payload = {"url": target.url}
        job_id = factories.job(connection, workspace, schedule, now=now, payload=payload)
        triggered = [
            executions.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue=queues.WEBHOOKS,
                now=now,
            )
            for _ in range(6)
        ]
        specs = Specs().of(connection, triggered)
        claimed = executions.claim(connection, triggered, worker_id=heartbeat.id, now=now)
    sending = Webhooks(engine, Recorder(engine), heartbeat, settings.load())
    sending.start()
    try:
        sending.begin([(each, specs[job_id]) for each in claimed])
        wait_until(lambda: len(target.received) == 1, within=3)
        sending.watch()
        assert sending.in_flight == 1 + 2
        rows = factories.executions_of(engine, job_id)
        assert Counter(row["status"] for row in rows) == {"running": 3, "queued": 3}
        later = [row["due_at"] for row in rows if row["status"] == "queued"]
        assert all(due_at > now + POSTPONED_BY - timedelta(seconds=1) for due_at in later)
    finally:
        sending.stop(0)
