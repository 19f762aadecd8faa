"""``chronos up`` as a user runs it: one command, real processes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from child_processes import inherited_environment
from chronos_common.embedded.processes import orphans, ports
from rigs import wait_until

SECONDS_TO_START = 120


class Up:
    """A running ``chronos up``; ``output`` is what it has printed so far."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        prefix: tuple[str, ...] = (),
        keep: tuple[int, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.profiles = folder.with_name(f"{folder.name}-profiles.json")
        self.port = ports.free()
        self.address = f"http://127.0.0.1:{self.port}"
        command = [*up_command(folder, self.port), *words]
        self.process = subprocess.Popen(
            [*prefix, *command],
            env=environment()
            | {"CHRONOS_PROFILES_FILE": str(self.profiles)}
            | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=keep,
            process_group=0,  # as a shell does, so that Ctrl-C can be sent to the group
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, text: str, seconds: float = SECONDS_TO_START) -> None:
        """Wait until ``text`` was printed."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, within=seconds)
        assert text in self.output, self.output

    def wait_for_line(self, pattern: str) -> None:
        """Wait until text that matches ``pattern`` was printed."""
        wait_until(lambda: re.search(pattern, self.output) is not None, within=60, every=0.05)

    def children(self) -> dict[str, int]:
        """Return the process number of each child, by its name."""
        locks = (self.folder / "run").glob("*.lock")
        return {path.stem: int(path.read_text().split()[0]) for path in locks}

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = 120) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def close(self) -> None:
        """End it, however the test went."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()  # type: ignore[union-attr]
        orphans.end(self.folder)


def up_command(folder: Path, port: int) -> list[str]:
    command = [sys.executable, "-P", "-m", "chronos_common.cli", "up"]
    return [*command, "--data-dir", str(folder), "--port", str(port)]


def environment() -> dict[str, str]:
    """Return this environment without settings of Chronos, but with a short grace."""
    return inherited_environment() | {"CHRONOS_SHUTDOWN_GRACE_SECONDS": "2"}


@contextmanager
def running(folder: Path, *words: str, **options: Any) -> Iterator[Up]:
    """Start it and wait for the welcome; end it after."""
    up = Up(folder, *words, **options)
    try:
        up.wait_for("Ctrl-C stops everything")
        yield up
    finally:
        up.close()
