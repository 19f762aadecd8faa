"""The fork server of ``chronos up``, as a real process, and the children that it forks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_common.embedded.processes import forking, lock
from chronos_common.embedded.processes.child import Child, Program
from chronos_common.embedded.processes.forking import ForkServer
from rigs import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it exists on Linux only")

WITHIN = 60


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    with forking.serving() as server:
        wait_until(server.has_loaded, within=WITHIN)
        yield server


def _child(folder: Path, fork_server: ForkServer | None, *words: str) -> Child:
    program = Program(
        name="part",
        command=[sys.executable, "-c", "print('executed')"],
        arguments=words,
        folder=folder,
        environment={"PATH": os.defpath, "CHRONOS_MARK": "given"},
    )
    return Child(program, fork_server)


def _end(child: Child) -> str:
    child.start()
    try:
        wait_until(lambda: not child.is_running(), within=WITHIN)
    finally:
        child.stop()
    return child.last_lines(100)


def test_a_forked_program_is_our_child_writes_to_its_log_and_frees_its_lock(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    child = _child(tmp_path, fork_server, "db", "--help")
    said = _end(child)
    assert "Look after the database's schema." in said
    assert "executed" not in said
    assert child.exit_code() == 0
    path = tmp_path / "run" / "part.lock"
    assert path.read_text() == f"{child.pid} {int(signal.SIGTERM)}\n"
    assert lock.is_free(path)


def test_a_forked_program_has_the_environment_that_it_was_given_and_its_own_exit_code(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    child = _child(tmp_path, fork_server, "scheduler")
    said = _end(child)
    # Its settings are missing there, and may stand in the environment of this process.
    assert "CHRONOS_DATABASE_URL" in said
    assert child.exit_code() == 2


def test_a_forked_program_leads_a_session_and_shows_its_own_command(
    tmp_path: Path, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, bytes]] = []

    def look(pid: int) -> None:
        seen.append((os.getsid(pid), os.getpgid(pid), Path(f"/proc/{pid}/cmdline").read_bytes()))

    made = forking.Forked.__init__

    def stopped(self: forking.Forked, pid: int) -> None:
        made(self, pid)
        os.kill(pid, signal.SIGSTOP)
        look(pid)
        os.kill(pid, signal.SIGCONT)

    monkeypatch.setattr(forking.Forked, "__init__", stopped)
    child = _child(tmp_path, fork_server, "worker")
    _end(child)
    assert seen == [(child.pid, child.pid, b"chronos worker\0")]


def test_what_ends_a_forked_program_is_told_like_that_of_an_executed_one(
    tmp_path: Path, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = forking.Forked.__init__

    def killed(self: forking.Forked, pid: int) -> None:
        made(self, pid)
        os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(forking.Forked, "__init__", killed)
    child = _child(tmp_path, fork_server, "worker")
    _end(child)
    assert child.exit_code() == -signal.SIGKILL
    assert child.how_it_ended().startswith("was killed by SIGKILL")


def test_without_a_fork_server_the_program_is_executed(tmp_path: Path) -> None:
    assert _end(_child(tmp_path, None, "db", "--help")) == "executed"
    assert _end(_child(tmp_path, ForkServer(), "db", "--help")) == "executed"


def test_a_program_is_executed_once_the_fork_server_has_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*args: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(forking.subprocess, "Popen", noted)
    with forking.serving() as server:
        wait_until(server.has_loaded, within=WITHIN)
        started[0].kill()
        started[0].wait()
        assert _end(_child(tmp_path, server, "db", "--help")) == "executed"
    # And while it has not loaded.
    with forking.serving() as server:
        started[-1].kill()
        wait_until(server.has_loaded, within=WITHIN)
        assert _end(_child(tmp_path, server, "db", "--help")) == "executed"
