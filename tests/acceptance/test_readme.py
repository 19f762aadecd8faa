"""The examples of the README and the tutorial, word for word, in bash against ``chronos up``."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from child_processes import inherited_environment
from chronos_common.embedded.processes import ports
from repository import ROOT

pytestmark = pytest.mark.xdist_group("acceptance")

README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_BLOCK = "--- end of block ---"

#: What each block's output must say, in the order of the blocks.
OF_README: tuple[list[str], ...] = (
    [],
    [],
    ['"status": "succeeded"', '"drift_ms"', '"job_name": "Health check"', '"http_status": 200'],
    [],
)
OF_TUTORIAL: tuple[list[str], ...] = (
    ['"admin@chronos.example"', '"role": "owner"'],
    ['"name": "Weekly Newsletter"', "Monday", "Europe/Berlin", '"next_run_at": "20'],
    [],
    ['"status": "succeeded"', '"drift_ms"', '"job_name": "In 3 seconds"', '"http_status": 200'],
    ["paused\nactive"],
    ['"trigger": "manual"', '"status": "succeeded"', "Triggered by hand", "answered 200"],
    ["1"],
    ["1\n1"],
    ["1\n1"],
    ['"status": "succeeded"', '"http_status": 200', '"first_byte"'],
    ['"success_rate": 1.0', '"live_workers": 1', "event: stats"],
    [],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where ``chronos up`` listens, ready to run jobs."""
    port = ports.free()
    address = f"127.0.0.1:{port}"
    output = folder / "up.log"
    with output.open("w") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chronos_common.cli", "up"),
                *("--data-dir", str(folder / "data"), "--port", str(port)),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=inherited_environment(),
        )
    try:
        _wait_until_ready(address, process, output)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
    assert process.returncode == 0, output.read_text()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 100
    # The administrator's account exists once the welcome is printed.
    while not (_is_ready(address) and "is running" in output.read_text()):
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.2)


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/api/v1/ready", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples need curl")
@pytest.mark.parametrize(
    ("page", "expectations"),
    [(README, OF_README), (TUTORIAL, OF_TUTORIAL)],
    ids=["readme", "tutorial"],
)
def test_the_examples_work_word_for_word(
    address: str, folder: Path, page: str, expectations: tuple[list[str], ...]
) -> None:
    blocks = [block.replace("127.0.0.1:8080", address) for block in BLOCK.findall(page)]
    assert len(blocks) == len(expectations)
    script = "".join(f"{block}\necho; echo '{END_OF_BLOCK}'\n" for block in blocks)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env=inherited_environment() | {"CHRONOS_DATA_DIR": str(folder / "data")},
    )

    outputs = done.stdout.split(END_OF_BLOCK)
    assert done.returncode == 0, f"block {len(outputs)}:\n{outputs[-1]}\n{done.stderr}"
    for block, output, expected in zip(blocks, outputs, expectations, strict=False):
        missing = [words for words in expected if words not in output]
        assert not missing, f"{block}\nanswered, without {missing}:\n{output}"
        assert "problem" not in output, f"{block}\nanswered:\n{output}"
