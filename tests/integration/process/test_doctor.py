"""``chronos doctor``: each state of the system is injected, and said in words."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from redis import Redis
from sqlalchemy import Engine, text

import factories
from chronos_common import __version__, clock, ids
from chronos_common.broker import Batch, Broker
from chronos_common.doctor import cluster, command, servers, usage
from chronos_common.doctor.cluster import Cluster
from chronos_common.doctor.findings import Finding, Level, collect, worst
from chronos_common.domain.timezones import files
from chronos_common.embedded import data_folder
from chronos_common.quotas import MAILS
from chronos_common.storage import quotas, zone_rules
from chronos_common.storage.executions import partitions, statistics
from chronos_common.storage.outbox import account_emails, failure_emails
from chronos_common.storage.postgres.database import connect
from factories import StoreJob, Workspace
from integration.api.api_settings import settings_for

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def seen(engine: Engine, broker: Broker, now: datetime) -> Cluster:
    return Cluster(
        engine, broker, worker_timeout=timedelta(seconds=15), retention=30 * DAY, now=now
    )


def _levels(findings: Iterator[Finding]) -> dict[str, Level]:
    return {each.topic: each.level for each in findings}


def _of(topic: str, findings: Iterator[Finding]) -> Finding:
    return next(each for each in findings if each.topic == topic)


def _process(engine: Engine, kind: str, *, at: datetime, version: str = __version__) -> None:
    with engine.begin() as connection:
        identifier = factories.worker(connection, now=at)
        connection.execute(
            text("UPDATE workers SET kind = :kind, version = :version WHERE id = :id"),
            {"kind": kind, "version": version, "id": identifier},
        )


def _healthy(engine: Engine, now: datetime) -> None:
    for kind in ("scheduler", "worker"):
        _process(engine, kind, at=now)
    with engine.begin() as connection:
        for offset in range(3):
            partitions.create(connection, now.date() + offset * DAY)


def _run(database_url: str, redis_url: str, *words: str) -> tuple[int, str]:
    variables = {
        "CHRONOS_DATABASE_URL": database_url,
        "CHRONOS_REDIS_URL": redis_url,
        "CHRONOS_SECRET_KEY": "x" * 32,
    }
    answer = CliRunner().invoke(command.doctor, words, env=variables)
    return answer.exit_code, answer.output


def test_it_shows_the_time_zone_database_and_finds_another_one(engine: Engine) -> None:
    same = "Schedules follow release {} of the time zone database."
    [found] = servers.zones(engine)
    assert (found.level, found.says) == (Level.OK, same.format(files.VERSION))
    with engine.begin() as connection:
        zone_rules.store(connection, "another", version="2019a", archive=b"")
        zone_rules.adopt(connection, "another", now=clock.now())
    [found] = servers.zones(engine)
    assert found.level is Level.WARNING
    assert "2019a" in found.says
    assert files.VERSION in found.says


def test_a_healthy_cluster_has_nothing_but_good_findings(
    engine: Engine, database_url: str, redis_url: str, now: datetime
) -> None:
    _healthy(engine, now)
    code, output = _run(database_url, redis_url, "--json")
    answer = json.loads(output)
    assert (code, answer["status"]) == (0, "ok"), output
    assert {each["level"] for each in answer["findings"]} == {"ok"}
    code, output = _run(database_url, redis_url)
    assert code == 0
    assert output.endswith("All is well.\n")


def test_it_looks_at_what_up_started_in_a_data_folder(
    engine: Engine,
    database_url: str,
    redis_url: str,
    now: datetime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _healthy(engine, now)
    data_folder.remember(tmp_path, {"DATABASE_URL": database_url, "REDIS_URL": redis_url})
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(f"CHRONOS_{name}", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # noqa: TID251 - what it sets ends here
    answer = CliRunner().invoke(command.doctor, ["--data-dir", str(tmp_path)])
    assert answer.exit_code == 0, answer.output


def test_without_anything_to_look_at_it_says_how_to_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(f"CHRONOS_{name}", raising=False)
    answer = CliRunner().invoke(command.doctor, [], env={"CHRONOS_DATA_DIR": str(tmp_path)})
    assert answer.exit_code == 2
    for named in (str(tmp_path), "--data-dir", "CHRONOS_DATABASE_URL"):
        assert named in answer.output


def test_a_database_and_a_redis_that_do_not_answer_are_problems(closed_port: int) -> None:
    code, output = _run(
        f"postgresql://chronos@127.0.0.1:{closed_port}/chronos",
        f"redis://127.0.0.1:{closed_port}/0",
        "--json",
    )
    answer = json.loads(output)
    assert (code, answer["status"]) == (2, "problem")
    assert {each["topic"] for each in answer["findings"]} == {"database", "redis", "api"}
    assert all(each["remedy"] for each in answer["findings"] if each["level"] != "ok")


@pytest.fixture
def closed_port() -> int:
    return 1  # nobody serves tcpmux


def test_an_api_that_does_not_answer_is_a_warning_with_its_address(
    engine: Engine,
    database_url: str,
    redis_url: str,
    now: datetime,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _healthy(engine, now)
    monkeypatch.setenv("CHRONOS_PUBLIC_URL", f"http://127.0.0.1:{closed_port}")
    code, output = _run(database_url, redis_url, "--json")
    bad = [each for each in json.loads(output)["findings"] if each["level"] != "ok"]
    assert (code, [each["topic"] for each in bad]) == (1, ["api"])
    assert f"http://127.0.0.1:{closed_port}/api/v1/ready" in bad[0]["says"]
    assert "chronos api" in bad[0]["remedy"]


def test_an_old_schema_is_a_problem(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    finding = _of("schema", servers.database(engine))
    assert finding.level is Level.PROBLEM
    assert "chronos db upgrade" in str(finding.remedy)


def test_without_schedulers_and_workers_nothing_runs(seen: Cluster) -> None:
    assert _levels(cluster.processes(seen)) == {
        "schedulers": Level.PROBLEM,
        "workers": Level.PROBLEM,
    }


def test_dead_processes_and_mixed_versions_are_told(
    engine: Engine, seen: Cluster, now: datetime
) -> None:
    for kind in ("scheduler", "worker"):
        _process(engine, kind, at=now, version="0.0.1")
    _process(engine, "worker", at=now - MINUTE)
    levels = _levels(cluster.processes(seen))
    assert levels == {
        "schedulers": Level.OK,
        "workers": Level.OK,
        "dead processes": Level.WARNING,
        "versions": Level.WARNING,
    }


def test_messages_that_wait_long_are_a_problem_and_strange_ones_a_warning(
    seen: Cluster, broker: Broker, redis_url: str, now: datetime
) -> None:
    broker.publish([Batch("emails", [], now)], now=now - 10 * SECOND)
    broker.publish([Batch("webhooks", [], now)], now=now)
    with Redis.from_url(redis_url) as client:
        client.lpush("tasks", "garbage")
    assert _levels(cluster.queues(seen)) == {
        "queue emails": Level.PROBLEM,
        "queue webhooks": Level.OK,
        "queue notifications": Level.OK,
        "queue tasks": Level.WARNING,
        "queue emails_backlog": Level.OK,
        "queue webhooks_backlog": Level.OK,
        "queue tasks_backlog": Level.OK,
    }


@pytest.mark.parametrize(
    ("late", "level"), [(0, Level.OK), (30, Level.WARNING), (600, Level.PROBLEM)]
)
def test_schedules_that_nobody_plans_are_told(
    a_job: StoreJob, seen: Cluster, now: datetime, late: int, level: Level
) -> None:
    a_job(next_run_at=now - late * SECOND)
    assert _levels(cluster.lateness(seen))["planning"] is level


def test_executions_that_wait_run_nowhere_or_run_again_are_told(
    engine: Engine, workspace: Workspace, seen: Cluster, now: datetime
) -> None:
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        waiting, running, repeated = (
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue="webhooks",
                now=now - MINUTE,
            )
            for _ in range(3)
        )
        dead = factories.worker(connection, now=now, silent_for=MINUTE)
        factories.claim(connection, [running], worker_id=dead, now=now)
        connection.execute(
            text("UPDATE executions SET redeliveries = 1, due_at = :now WHERE id = :id"),
            {"now": now, "id": repeated},
        )
    findings = list(cluster.lateness(seen))
    assert _levels(iter(findings))["starting"] is Level.WARNING
    says = " ".join(each.says for each in findings)
    assert "1 executions are due and no worker has them" in says
    assert "1 executions run at workers that give no sign" in says
    assert "1 unfinished executions were taken from a worker that was lost" in says
    assert waiting != running


def test_missing_partitions_strays_and_old_history_are_told(
    engine: Engine, workspace: Workspace, seen: Cluster, now: datetime
) -> None:
    assert _levels(cluster.storage(seen)) == {"partitions": Level.WARNING}
    with engine.begin() as connection:
        for day in (now.date() - 90 * DAY, now.date(), now.date() + DAY):
            partitions.create(connection, day)
    assert _levels(cluster.storage(seen)) == {
        "partitions": Level.OK,
        "retention": Level.WARNING,
    }
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        factories.trigger(
            connection,
            workspace_id=workspace.id,
            job_id=job_id,
            queue="webhooks",
            now=now + 3 * DAY,
        )
    assert "1 executions of today or later" in _of("partitions", cluster.storage(seen)).says


def test_failures_jobs_that_always_fail_and_mails_that_do_not_leave_are_told(
    engine: Engine, workspace: Workspace, seen: Cluster, now: datetime
) -> None:
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        failed = factories.fail(connection, workspace, job_id, now=now, times=30)
        statistics.add(connection, failed, now=now)
    assert _levels(cluster.mail(seen)) == {"notifications": Level.OK}
    with engine.begin() as connection:
        for identifier in failure_emails.outbox.take(connection, batch=10, now=now):
            failure_emails.outbox.mark_failed(
                connection, identifier, error="550 No such user", permanent=True, now=now
            )
    assert "550 No such user" in _of("notifications", cluster.mail(seen)).says
    findings = list(cluster.outcomes(seen))
    assert _levels(iter(findings)) == {
        "outcomes": Level.WARNING,
        "failing job": Level.WARNING,
    }
    assert "'Ping' failed for good 30 times" in findings[1].says


def test_recipients_and_letters_that_a_mail_server_refuses_are_told(
    engine: Engine, workspace: Workspace, seen: Cluster, now: datetime
) -> None:
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        factories.fail(connection, workspace, job_id, now=now)
        (told,) = failure_emails.outbox.take(connection, batch=10, now=now)
        error = "bob@example.com: 550 No such user"
        failure_emails.outbox.mark_sent(connection, told, now=now, error=error)
    finding = _of("notifications", cluster.mail(seen))
    assert finding.level is Level.WARNING
    assert "1 were sent, but refused for some of their recipients" in finding.says
    assert error in finding.says
    with engine.begin() as connection:
        account_emails.enqueue(
            connection, account_emails.AccountEmailKind.PASSWORD_RESET, ids.new_id(now), now=now
        )
        (letter,) = account_emails.outbox.take(connection, batch=10, now=now)
        account_emails.outbox.mark_failed(
            connection, letter, error="550 Gone", permanent=True, now=now
        )
    assert "1 were given up" in _of("notifications", cluster.mail(seen)).says


def test_a_transaction_that_stays_open_is_told(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LONG_TRANSACTION", timedelta(0))
    forgotten = connect(database_url, name="forgotten", pool_size=1)
    with forgotten.connect() as connection:
        connection.execute(text("SELECT 1"))
        finding = _of("transactions", servers.database(engine))
    forgotten.dispose()
    assert finding.level is Level.WARNING
    assert "'forgotten'" in finding.says


def test_tables_full_of_dead_rows_are_told(
    engine: Engine, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "MANY_DEAD_ROWS", 10)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ALTER TABLE workers SET (autovacuum_enabled = false)"))
        for _ in range(30):
            factories.worker(connection, now=now)
        connection.execute(text("DELETE FROM workers"))
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    finding = _of("vacuum", servers.database(engine))
    assert finding.level is Level.WARNING
    assert "Table workers holds 30 dead rows" in finding.says


def test_a_clock_that_is_off_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _levels(servers.clock(engine)) == {"clock": Level.OK}
    wrong = clock.host_now
    monkeypatch.setattr(clock, "host_now", lambda: wrong() + timedelta(hours=1))
    [finding] = servers.clock(engine)
    assert finding.level is Level.WARNING
    assert "ahead of PostgreSQL's" in finding.says


def _redis(**info: Any) -> Redis:
    """A Redis that is set up like that; the real one is everybody's in this test run."""
    return cast(Redis, SimpleNamespace(ping=lambda: True, info=partial(dict, **info)))


@pytest.mark.parametrize(
    ("info", "topic", "level"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "redis eviction", Level.WARNING),
        ({"maxmemory_policy": "noeviction"}, "redis eviction", Level.OK),
        ({"maxmemory": 100, "used_memory": 95}, "redis memory", Level.PROBLEM),
        ({"role": "slave"}, "redis role", Level.PROBLEM),
        ({"rdb_last_bgsave_status": "err"}, "redis persistence", Level.PROBLEM),
    ],
)
def test_a_redis_that_may_lose_or_refuse_messages_is_told(
    info: dict[str, Any], topic: str, level: Level
) -> None:
    assert _levels(servers.redis(_redis(**info)))[topic] is level


def test_what_cannot_be_read_is_a_finding_and_keeps_the_others(engine: Engine) -> None:
    def broken() -> Iterator[Finding]:
        with engine.connect() as connection:
            connection.execute(text("SELECT * FROM nowhere"))
        yield from ()

    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("broken", broken),
        ("clock", partial(servers.clock, engine)),
    ]
    findings = list(collect(checks))
    assert [each.level for each in findings] == [Level.PROBLEM, Level.OK]
    assert worst(findings) is Level.PROBLEM
    assert 'relation "nowhere" does not exist' in findings[0].says


def test_workspaces_near_a_quota_are_named_and_others_are_not(
    engine: Engine, workspace: Workspace, database_url: str, redis_url: str, now: datetime
) -> None:
    settings = settings_for(database_url, redis_url, quota_mails=10)
    for amount, level in ((7, Level.OK), (1, Level.WARNING)):
        with engine.begin() as connection:
            quotas.spend(connection, workspace.id, {MAILS: amount}, settings=settings, now=now)
        found = _of("quotas", usage.bounds(engine, settings, now=now))
        assert found.level is level
    assert str(workspace.id) in found.says
    assert "8 of 10 e-mails a day" in found.says


def test_large_keys_of_others_in_redis_are_named(redis_url: str) -> None:
    """H1: nobody could see what filled it."""
    with Redis.from_url(redis_url) as client:
        for name in ("webhooks", "chronos:events:changed", "unacked", "_kombu.binding.tasks"):
            client.rpush(name, "x" * 2_000_000)
        client.rpush("small", "x")
        assert list(usage.foreign_keys(client)) == []
        client.rpush("nobody-reads-this", *["x" * 1_000_000] * 5)
        found = _of("redis keys", usage.foreign_keys(client))
    assert found.level is Level.WARNING
    assert "'nobody-reads-this' (5 MiB)" in found.says
    assert "small" not in found.says
