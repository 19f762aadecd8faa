"""``chronos up`` as a user runs it: one command, real processes, real faults."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from acceptance.up import Up, environment, running, up_command
from child_processes import lives
from chronos_common.embedded import api_client
from chronos_common.embedded.processes import exec_child, lock, orphans, ports
from rigs import wait_until

pytestmark = pytest.mark.xdist_group("up")  # each start takes both cores of a small machine

IS_ROOT = os.geteuid() == 0
NOBODY = 65534


def assert_nothing_is_left(folder: Path, started: list[psutil.Process]) -> None:
    assert not [process for process in started if lives(process)]
    assert orphans.names(folder) == []
    assert lock.is_free(folder / "up.lock")


def log_in(up: Up) -> requests.Response:
    account = json.loads((up.folder / "admin.json").read_text())
    return requests.post(f"{up.address}/api/v1/auth/login", json=account, timeout=10)


def is_healthy(up: Up) -> bool:
    return answers(up, "health")


def is_ready(up: Up) -> bool:
    return answers(up, "ready")


def answers(up: Up, probe: str) -> bool:
    try:
        return requests.get(f"{up.address}/api/v1/{probe}", timeout=10).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Start on an empty folder, press Ctrl-C; return the folder and what was printed."""
    folder = tmp_path_factory.mktemp("up") / "data"
    with running(folder) as up:
        started = up.descendants()
        assert {"postgres", "valkey", "api", "scheduler", "worker"} <= set(up.children())
        assert is_healthy(up)
        up.press_ctrl_c()
        assert up.wait() == 0, up.output
        assert_nothing_is_left(folder, started)
        return folder, up.output


@pytest.fixture
def folder(first_start: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the folder of the first start, which need not be created again."""
    return copy(first_start[0], tmp_path / "data")


def copy(stopped: Path, target: Path) -> Path:
    """Copy a data folder with its owners."""
    subprocess.run(["cp", "-a", stopped, target], check=True)
    return target


def test_the_first_start_tells_a_newcomer_what_they_need(first_start: tuple[Path, str]) -> None:
    folder, output = first_start
    account = json.loads((folder / "admin.json").read_text())
    for text in [
        *["/docs", account["email"], account["password"], "Ctrl-C", "CHRONOS_EGRESS_ALLOW"],
        *[str(folder / "mail"), str(folder / "logs"), f"The data stays in {folder}"],
    ]:
        assert text in output
    assert "Traceback" not in output
    assert len(output.splitlines()) < 25


@pytest.fixture(scope="module")
def second_start(
    first_start: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Up]:
    """The folder of the first start, started again."""
    with running(copy(first_start[0], tmp_path_factory.mktemp("second") / "data")) as up:
        yield up


def test_the_command_line_works_at_once_in_another_terminal(second_start: Up) -> None:
    """The profile is written at the start, with a key that the data folder keeps."""
    listed = subprocess.run(
        [sys.executable, "-m", "chronos_common.cli", "jobs", "list", "-o", "json"],
        env=environment() | {"CHRONOS_PROFILES_FILE": str(second_start.profiles)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(listed.stdout) == []
    assert second_start.profiles.stat().st_mode & 0o077 == 0
    kept = (second_start.folder / "client_key").read_text()
    (profile,) = json.loads(second_start.profiles.read_text())["profiles"].values()
    assert (profile["key"], profile["url"]) == (kept, second_start.address)


def test_it_keeps_its_data_and_its_secrets_to_itself(second_start: Up) -> None:
    folder = second_start.folder
    assert (folder / "secret_key").exists()
    # As root, PostgreSQL's user has to pass these two.
    passed = {folder, folder / "postgres"} if IS_ROOT else set()
    # PostgreSQL removes files meanwhile. They are all in a folder that it made for itself.
    found = {folder, *folder.rglob("*")} - {*(folder / "postgres" / "data").rglob("*")}
    modes = {path: path.stat().st_mode & 0o077 for path in found if path.exists()}
    assert {path for path, mode in modes.items() if mode} == passed
    assert {modes[path] for path in passed} <= {0o011}
    assert log_in(second_start).ok
    password = json.loads((second_start.folder / "admin.json").read_text())["password"]
    assert password not in second_start.output  # it was printed once


def test_a_second_one_on_the_same_folder_is_told_who_holds_it(second_start: Up) -> None:
    message = refusal(second_start.folder, ports.free())
    holder = f"(process {second_start.process.pid}, since "
    assert f"already works in {second_start.folder} {holder}" in message
    assert is_healthy(second_start)


def test_a_second_one_on_the_same_port_is_told_so(second_start: Up, tmp_path: Path) -> None:
    message = refusal(tmp_path / "other", second_start.port)
    assert f"port {second_start.port}: Address already in use" in message
    assert is_healthy(second_start)


def refusal(folder: Path, port: int) -> str:
    """Return the one sentence with which it refuses to start."""
    refused = subprocess.run(
        up_command(folder, port),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    return refused.stderr


def test_whatever_is_killed_starts_again_and_it_still_stops_cleanly(folder: Path) -> None:
    with running(folder) as up:
        before = up.children()
        names = ["api", "scheduler", "worker", "valkey", "postgres"]
        for name in names:
            os.kill(before[name], signal.SIGKILL)
        for name in names:
            up.wait_for(f"The {name} (process {before[name]}) was killed by SIGKILL")
            up.wait_for(f"The {name} runs again")
        # A login at each look would soon be refused, as too many from one address.
        wait_until(lambda: is_ready(up), within=60, every=0.05)
        assert log_in(up).ok
        started = up.descendants()
        up.process.send_signal(signal.SIGTERM)
        assert up.wait() == 0, up.output
        assert_nothing_is_left(folder, started)


def test_a_start_after_the_supervisor_was_killed_works(folder: Path) -> None:
    with running(folder) as up:
        started = up.descendants()
        up.process.kill()
        up.wait()
        with running(folder) as again:
            assert not [process for process in started if lives(process)]
            assert log_in(again).ok


def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    up = Up(folder)
    try:
        wait_until((folder / "run" / "postgres.lock").exists, within=30)
        up.press_ctrl_c()
        assert up.wait() == 0, up.output
        assert "Stopped" in up.output
        assert_nothing_is_left(folder, [])
    finally:
        up.close()


def test_the_demo_shows_executions_loads_its_jobs_once_and_leaves_them_paused(
    folder: Path,
) -> None:
    with running(folder, "--demo") as up:
        up.wait_for("Sample jobs: 12 new, 0 known.")
        up.wait_for_line(r"Heartbeat +succeeded")
        up.wait_for_line(r"Charge subscriptions +retrying")
        up.wait_for_line(r"Welcome mail +succeeded")
        assert list((folder / "mail").iterdir())
        up.press_ctrl_c()
        assert up.wait() == 0, up.output
    with running(folder, "--demo") as up:
        up.wait_for("Sample jobs: 0 new, 12 known.")
        up.wait_for_line(r"Heartbeat +succeeded")
        up.press_ctrl_c()
        assert up.wait() == 0, up.output
    with running(folder) as up:
        client = api_client.Client(up.address, api_client.saved_account(folder))
        assert client.log_in()

        def statuses() -> Counter[str]:
            stored = client.send("GET", "/api/v1/jobs?tag=demo&limit=100")["items"]
            return Counter(job["status"] for job in stored)

        # The job that ran once may have been on its way to be completed when the demo ended.
        wait_until(lambda: statuses() == {"paused": 11, "completed": 1}, within=30, every=0.05)


def users(processes: list[psutil.Process]) -> set[int]:
    """Return the effective users of those processes that still run."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.uids().effective)
    return found


@pytest.mark.skipif(not IS_ROOT, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_starts_it_too(tmp_path: Path) -> None:
    """The user may pass closed folders, because this Python may be behind one; no more."""
    folder = Path("/tmp") / f"chronos-{os.getpid()}"  # noqa: S108 - a place every user may enter
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        instructions = {
            "parent": os.getpid(),
            "lock": descriptor,
            "stop_signal": signal.SIGTERM,
            "user": [NOBODY, NOBODY],
            "pass_closed_folders": True,
        }
        become = (sys.executable, "-IS", exec_child.__file__, json.dumps(instructions))
        with running(folder, prefix=become, keep=(descriptor,)) as up:
            started = up.descendants()
            assert users(started) == {NOBODY}
            assert log_in(up).ok
            up.press_ctrl_c()
            assert up.wait() == 0, up.output
            assert_nothing_is_left(folder, started)
    finally:
        os.close(descriptor)
        shutil.rmtree(folder)
