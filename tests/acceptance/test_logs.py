"""Every line of a JSON log is JSON, whatever writes it and however the process ends."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from child_processes import inherited_environment
from chronos_common.embedded.processes import ports
from rigs import wait_until

pytestmark = pytest.mark.xdist_group("acceptance")

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass
class Started:
    """A process, and all that it writes."""

    process: "subprocess.Popen[bytes]"
    output: Path
    health: str

    def lines(self) -> list[dict[str, Any]]:
        """Return every line of stdout and stderr, each of which must be a JSON object."""
        found = [json.loads(line) for line in self.output.read_text().splitlines()]
        assert all(isinstance(line, dict) and line["event"] for line in found)
        return found

    def is_up(self) -> bool:
        """Return whether it answers, and has begun to heed SIGTERM."""
        assert self.process.poll() is None, self.output.read_text()
        try:
            return requests.get(self.health, timeout=5).ok and self._heeds(signal.SIGTERM)
        except requests.RequestException:
            return False

    def _heeds(self, number: signal.Signals) -> bool:
        masks = re.findall(r"^Sig(?:Blk|Cgt):\s*(\w+)$", self._statuses(), re.MULTILINE)
        return bool(self.output.stat().st_size) and any(
            int(mask, 16) >> number - 1 & 1 for mask in masks
        )

    def _statuses(self) -> str:
        """Return what the kernel says of each thread.

        The main thread of a scheduler is not enough: while it waits in ``sigwait``, Linux shows
        the signals that it waits for as unblocked. The other threads keep them blocked.
        """
        statuses = []
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):  # it has ended
                statuses.append((thread / "status").read_text())
        return "".join(statuses)

    def end(self, *signals: signal.Signals) -> None:
        for number in signals:
            if self.process.poll() is None:
                self.process.send_signal(number)
                # So that the next one meets the handler of the one before.
                self.wait_briefly()
        self.process.wait(STOP_SECONDS)

    def wait_briefly(self) -> None:
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            return


def _heed_the_keyboard() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Start]:
    """Starts ``chronos`` commands on servers of this test."""
    begun: list[Started] = []

    def started(command: str, **given: str) -> Started:
        api, metrics = ports.free(), ports.free()
        ours = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": "x" * 32,
            "API_PORT": str(api),
            "METRICS_PORT": str(metrics),
            "SHUTDOWN_GRACE_SECONDS": "2",
            "LOG_LEVEL": "debug",
            **given,
        }
        ours = {f"CHRONOS_{name}": value for name, value in ours.items()}
        output = tmp_path / f"{command}-{len(begun)}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "chronos_common.cli", command],
                env=inherited_environment() | ours,
                stdout=file,
                stderr=file,
                start_new_session=True,
                # A shell lets what it starts in the background ignore these.
                preexec_fn=_heed_the_keyboard,  # noqa: PLW1509 - this process has no threads yet
            )
        port = api if command == "api" else metrics
        begun.append(Started(process, output, f"http://127.0.0.1:{port}/health"))
        return begun[-1]

    yield started
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGTERM],
        [signal.SIGQUIT],
        [signal.SIGINT, signal.SIGINT, signal.SIGINT],
    ],
    ids=lambda signals: "-".join(each.name for each in signals),
)
@pytest.mark.parametrize("command", ["api", "scheduler", "worker"])
def test_every_line_is_json_from_the_start_to_the_end(
    start: Start, command: str, signals: list[signal.Signals]
) -> None:
    started = start(command)
    wait_until(started.is_up, within=START_SECONDS)
    started.end(*signals)
    events = [line["event"] for line in started.lines()]
    if command != "api" and signals == [signal.SIGTERM]:
        assert events[-1] == f"{command} stopped"


def test_an_api_without_its_database_says_so_once_and_serves(start: Start) -> None:
    started = start("api", DATABASE_URL=f"postgresql://127.0.0.1:{ports.free()}/chronos")
    wait_until(started.is_up, within=START_SECONDS)
    started.end(signal.SIGTERM)
    told = [line for line in started.lines() if "PostgreSQL does not answer" in line["event"]]
    assert [line["level"] for line in told] == ["error"]


def test_an_api_whose_port_is_taken_ends_with_lines_of_its_log(start: Start) -> None:
    first = start("api")
    wait_until(first.is_up, within=START_SECONDS)
    port = first.health.split(":")[2].split("/")[0]
    second = start("api", API_PORT=port)
    assert second.process.wait(START_SECONDS) != 0
    assert any("in use" in line["event"] for line in second.lines())
    first.end(signal.SIGTERM)


ODD = {
    "a warning": "import warnings; warnings.warn('odd\\nthing')",
    "a thread": "import threading; threading.Thread(target=lambda: 1 / 0).start()",
    "an uncaught error": "raise ValueError('two\\nlines')",
    "a record that cannot be written": "import logging; logging.warning('%d', 'x')",
    "a destructor": "type('Odd', (), {'__del__': lambda self: 1 / 0})()",
    "an exit handler": "import atexit; atexit.register(lambda: 1 / 0)",
    "a library": "import logging; logging.getLogger('a.b').error('no\\nformat', exc_info=True)",
    "a signal": "logs.say_in_signal_handler('two\\nlines')",
    "a request": """
from chronos_common.process import health
stream = health._LogFile()
stream.write('Traceback\\n  x')
stream.flush()
""",
}

BEGIN = """
from chronos_common import logs
logs.configure_as("json", "info")
logs.take_over()
"""


@pytest.mark.parametrize("odd", ODD)
def test_what_others_write_is_a_line_of_the_log(odd: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + ODD[odd]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found: list[Mapping[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(found) == 1
    assert (found[0]["event"] is not None, done.stdout) == (True, "")
