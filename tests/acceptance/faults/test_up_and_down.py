"""``chronos up`` stopped and started again and again, with its own servers, under load."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from acceptance.faults import load as loads
from acceptance.faults.account import account
from acceptance.faults.servers import psycopg2_url
from child_processes import inherited_environment
from chronos_common.embedded.processes import ports
from chronos_common.storage.postgres.database import connect
from rigs import wait_until
from targets import Target, after

pytestmark = pytest.mark.xdist_group("up")

_COMMAND = [sys.executable, "-P", "-m", "chronos_common.cli", "up"]

TIMES = 5
PER_SECOND = 50
START_SECONDS = 60
#: What is under way takes 50 ms; who has less than this to end it may have to send it again.
GRACE_SECONDS = 15
#: The grace, PostgreSQL's checkpoint, and what a busy machine adds.
STOP_SECONDS = 60


@contextmanager
def _up(folder: Path) -> Iterator[Engine]:
    """Run ``chronos up``, and stop it as an operator does; yields a way to its database."""
    with (folder / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [*_COMMAND, "--data-dir", str(folder / "data"), "--port", str(ports.free())],
            env=inherited_environment() | {"CHRONOS_SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: _children(process) >= {"worker", "api"}, within=START_SECONDS)
        engine = connect(_database_url(folder / "data"), name="test")
        yield engine
        engine.dispose()
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, (folder / "up.log").read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def _children(process: subprocess.Popen[bytes]) -> set[str]:
    """Return the words that the running parts of Chronos were started with."""
    assert process.poll() is None
    found: set[str] = set()
    for child in psutil.Process(process.pid).children():
        try:
            found.update(child.cmdline()[-1:])
        except psutil.Error:
            continue
    return found


def _database_url(data: Path) -> str:
    """Return the address of the embedded PostgreSQL, whose port is another at each start."""
    password = (data / "postgres" / "password").read_text()
    port = (data / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[3]
    return psycopg2_url(f"postgresql://chronos:{password}@127.0.0.1:{port}/chronos")


@pytest.mark.timeout(TIMES * (2 * START_SECONDS + STOP_SECONDS))
def test_up_stopped_and_started_five_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Proves that a stop gives back and records, and that a start goes on where it ended.

    Fails without the recorder's flush at the stop (repeated), or if the start of a schedule were
    its anchor's next instant instead of ``next_run_at`` (missed).
    """
    target = Target()
    target.answer = after(0.05)
    target.start()
    load = None
    try:
        for number in range(TIMES):
            with _up(tmp_path) as engine:
                if load is None:
                    load = loads.begin(engine, per_second=PER_SECOND, url=target.url)
                load.use(engine)
                seen = len(target.received)
                wait_until(
                    lambda n=seen: len(target.received) > n + 2 * PER_SECOND, within=START_SECONDS
                )
                if number == TIMES - 1:
                    load.end()
                    deadline = time.monotonic() + START_SECONDS
                    while not load.is_quiet() and time.monotonic() < deadline:
                        time.sleep(0.1)
                    found = account(engine, load, target.received)
    finally:
        target.close()
    # Until it was started again, which takes as long as the machine needs.
    found.assert_nothing_lost(within=2 * START_SECONDS + STOP_SECONDS)
    assert found.redelivered == 0, str(found)
