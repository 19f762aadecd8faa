"""The ``chronos`` command: its parts are found, and its errors are sentences."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from child_processes import inherited_environment
from chronos_common.embedded.processes import ports


def chronos(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with nothing of ``CHRONOS_*`` but ``variables`` in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "chronos_common.cli", *words],
        env=inherited_environment() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_registered_command_can_be_loaded_and_is_listed() -> None:
    answer = chronos("--help")
    assert answer.returncode == 0, answer.stderr
    listed = set(re.findall(r"^  (\w+) ", answer.stdout, re.MULTILINE))
    assert {"up", "db", "api", "scheduler", "worker"} <= listed


def test_a_command_imports_no_other() -> None:
    code = (
        "import sys\n"
        "from chronos_common.cli import chronos\n"
        "chronos(['up', '--help'], standalone_mode=False)\n"
        "names = 'chronos_api', 'chronos_worker', 'chronos_scheduler', 'celery', 'flask'\n"
        "assert not [name for name in names if name in sys.modules]\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_the_version_is_the_package_s() -> None:
    assert re.fullmatch(r"chronos, version \d+\.\d+\.\d+\n", chronos("--version").stdout)


def test_all_wrong_settings_are_named_at_once_and_nothing_starts(tmp_path: Path) -> None:
    answer = chronos(
        "up",
        CHRONOS_DATA_DIR=str(tmp_path / "data"),
        CHRONOS_API_PORT="http",
        CHRONOS_EGRESS_ALLOW="10.0.0.0/8,everything",
        CHRONOS_DATABASE_URL="mysql://somewhere",
        CHRONOS_SECRET_KEY="short",
        CHRONOS_SHUTDOWN_GRACE_SECONDS="-1",
    )
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    wrong = set(re.findall(r"^  CHRONOS_(\w+): \S", answer.stderr, re.MULTILINE))
    assert wrong == {
        *["API_PORT", "EGRESS_ALLOW", "DATABASE_URL", "SECRET_KEY", "SHUTDOWN_GRACE_SECONDS"]
    }
    assert not (tmp_path / "data").exists()


def one_sentence(answer: "subprocess.CompletedProcess[str]") -> str:
    assert answer.returncode == 2
    assert answer.stderr.startswith("Error: ")
    assert answer.stderr.count("\n") == 1
    return answer.stderr


def test_a_file_in_the_place_of_the_data_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    message = one_sentence(chronos("up", "--data-dir", str(tmp_path / "data")))
    assert "cannot be written: It is a file" in message
    message = one_sentence(chronos("up", "--data-dir", str(tmp_path / "data" / "below")))
    assert "cannot be written: Not a directory" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_one_clear_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    message = one_sentence(chronos("up", "--data-dir", str(tmp_path)))
    assert "cannot be written: Permission denied" in message


def test_an_address_that_is_not_ours_is_one_clear_sentence(tmp_path: Path) -> None:
    words = ["up", "--data-dir", str(tmp_path), "--port", str(ports.free()), "--host"]
    assert "Cannot assign requested address" in one_sentence(chronos(*words, "192.0.2.1"))
    assert "There is no address" in one_sentence(chronos(*words, "nowhere.invalid"))


def test_a_start_that_is_refused_for_its_port_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "chronos"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = chronos("up", "--data-dir", str(folder), "--port", str(port))
    assert "Address already in use" in one_sentence(refused)
    assert list(tmp_path.iterdir()) == []
