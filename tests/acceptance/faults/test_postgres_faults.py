"""PostgreSQL restarted, stopped hard, away, crowded, locked and without room on its disk."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
import requests

from acceptance.faults.stage import Stage, made, stage
from acceptance.faults.triggers import Triggers

pytestmark = pytest.mark.xdist_group("faults-postgres")

PER_SECOND = 200

#: How soon a request is answered: two seconds for a connection or a lock, and what a busy machine
#: adds.
ANSWERED_WITHIN = 6.0

#: The grace, the recorder's last attempts, and what a busy machine adds.
STOPPED_WITHIN = 60

#: From PostgreSQL's return until everything is in time again: 15 s, and what a busy machine adds.
RECOVERED_WITHIN = 20


@pytest.fixture(scope="module")
def durable_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An installation whose PostgreSQL keeps what it committed, whatever happens to it."""
    with stage(tmp_path_factory.mktemp("stage"), durable=True) as shared:
        yield shared


def _suffer(stage: Stage, fault: Callable[[], float | None]) -> None:
    """Inject ``fault``, which returns when it is over, and account for everything.

    It may return an instant: executions that were requested before it may be requested again, for
    the worker that had their outcomes is gone.
    """
    load = stage.begin(per_second=PER_SECOND)
    with Triggers(stage) as triggers:
        requested_before = fault() or 0.0
        stage.until(triggers.is_answered, within=RECOVERED_WITHIN)
        stage.recover(within=RECOVERED_WITHIN)
    account = stage.end(load)
    account.assert_nothing_lost(within=30, repeated=PER_SECOND, requested_before=requested_before)
    triggers.assert_all_ran()
    refused = [each for each in triggers.answers if each.status != requests.codes.accepted]
    slowest = max(each.seconds for each in triggers.answers)
    print(f"refused {len(refused)}, the slowest answer after {slowest:.1f} s")  # noqa: T201 - shown with a failure
    assert {(each.status, each.media_type) for each in refused} <= {
        (requests.codes.unavailable, "application/problem+json")
    }
    assert slowest < ANSWERED_WITHIN


def test_a_restart_and_a_hard_stop_lose_nothing(durable_stage: Stage) -> None:
    """Proves that loops go on, that the recorder keeps outcomes, and that commits are decisive.

    Fails without the recorder's repeats (``_write_at_last``): executions stay running.
    """
    servers = durable_stage.servers

    def restart_twice() -> None:
        servers.stop_postgres()
        servers.start_postgres()
        durable_stage.recover(within=RECOVERED_WITHIN)
        servers.stop_postgres(signal.SIGQUIT)
        servers.start_postgres()

    _suffer(durable_stage, restart_twice)


def test_while_it_is_away_the_api_says_so_and_nothing_is_lost(durable_stage: Stage) -> None:
    """Proves the API's bounded wait for a connection, and the same as a restart for the rest.

    A scheduler and a worker that are stopped meanwhile end in order: exit code 0, in time. The
    worker's outcomes end with it, so only requests of before the return may be repeated.
    """
    fleet = durable_stage.fleet

    def go_away() -> float:
        durable_stage.servers.stop_postgres()
        began = time.monotonic()
        ready = requests.get(f"{durable_stage.cluster.api_url}/api/v1/ready", timeout=10)
        assert time.monotonic() - began < ANSWERED_WITHIN
        assert ready.status_code == requests.codes.unavailable
        assert "PostgreSQL does not answer" in ready.text
        stopped = [fleet.of(kind)[0] for kind in ("scheduler", "worker")]
        for member in stopped:
            fleet.members.remove(member)
            member.process.send_signal(signal.SIGTERM)
        durable_stage.wait(8)
        assert [member.process.wait(STOPPED_WITHIN) for member in stopped] == [0, 0]
        returns_at = time.time()
        durable_stage.servers.start_postgres()
        for member in stopped:
            fleet.add(member.kind)
        return returns_at

    _suffer(durable_stage, go_away)


def test_a_server_that_takes_no_changes_for_a_while_loses_nothing(durable_stage: Stage) -> None:
    """Proves that a failover is an outage until the standby is promoted.

    Fails if a read-only transaction counts as a wrong statement: outcomes are dropped, and the API
    answers 500.
    """

    def refuse_changes() -> None:
        with _read_only(durable_stage):
            durable_stage.wait(5)

    _suffer(durable_stage, refuse_changes)


@contextmanager
def _read_only(stage: Stage) -> Iterator[None]:
    admin = psycopg2.connect(stage.servers.database_url)
    admin.autocommit = True
    with closing(admin), admin.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        for value in ("on", "off"):
            cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            cursor.execute("SELECT pg_reload_conf()")
            if value == "on":
                yield


def test_a_server_without_free_connections_is_waited_for(durable_stage: Stage) -> None:
    """Proves that a refused connection counts as the database's absence."""

    def crowd() -> None:
        with _everybody_out(durable_stage), ExitStack() as crowd:
            with pytest.raises(psycopg2.OperationalError, match="too many clients"):  # noqa: PT012 - until it is full
                while True:
                    connection = psycopg2.connect(durable_stage.servers.database_url)
                    crowd.callback(connection.close)
            durable_stage.wait(4)

    _suffer(durable_stage, crowd)


@contextmanager
def _everybody_out(stage: Stage) -> Iterator[None]:
    """Leave few connections, and end those that there are."""
    admin = psycopg2.connect(stage.servers.database_url)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'chronos-%'"
        )
    try:
        yield
    finally:
        admin.close()


def test_a_statement_that_hangs_on_a_lock_ends_and_is_repeated(durable_stage: Stage) -> None:
    """Proves ``lock_timeout`` on every connection.

    Fails without it: the API stands as long as the lock is held.
    """

    def hold_a_lock() -> None:
        connection = psycopg2.connect(durable_stage.servers.database_url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'; LOCK TABLE executions")
                durable_stage.wait(7)
        finally:
            connection.close()

    _suffer(durable_stage, hold_a_lock)


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    """Proves that an error for want of room counts as the database's absence."""
    folder = made(tmp_path / "servers" / "postgres")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m,mode=0711", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system needs root: {mounted.stderr.strip()}")
    try:
        with stage(tmp_path, schedulers=1, workers=1, durable=True) as small:
            _suffer(small, lambda: _fill(small, folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(stage: Stage, folder: Path) -> None:
    """Leave no room on the disk for a while."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):  # noqa: PT012 - until it is full
        while True:
            file.write(bytes(1 << 20))
    with ballast.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):  # noqa: PT012 - until it is full
        while True:
            file.write(bytes(1 << 12))
    stage.wait(8)
    ballast.unlink()
    if not stage.servers.postgres.is_running():
        stage.servers.start_postgres()
