"""The costs of ``chronos up`` at rest, of its start, of its help, and of loading its client."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import installation, usage
from benchmarks.bench import Bench
from benchmarks.processes import program, python
from benchmarks.results import Result
from chronos_common.embedded.api_client import Client, saved_account
from chronos_common.embedded.processes import ports
from chronos_common.embedded.processes.child import Child, ChildFailed

NAME = "rest"
TOGETHER, HELP = "all processes together", "chronos --help"
CLIENT = "from chronos_client import Chronos"

#: The window that the targets are about.
SECONDS = 60

_SECONDS_TO_START = 120.0
_JOBS = 5
_HELPS = 5
#: Connections that only the start needed are closed by then.
_SETTLED_AFTER = 1.0

_FIRST_LINE = "Address"

#: The command, then its CPU seconds and the most memory that it had. The kernel counts the latter
#: anew with each program, while ``getrusage`` would include the memory of this process.
_HELP = """
import sys, time
from chronos_common import cli
sys.argv = ["chronos", "--help"]
try:
    cli.main()
finally:
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            print(time.process_time(), line.split()[1], file=sys.stderr)
"""


#: Seconds of the clock and of the CPU that a program spends on the import.
_CLIENT = f"""
import sys, time
began, spent = time.monotonic(), time.process_time()
{CLIENT}
print(time.monotonic() - began, time.process_time() - spent)
"""


def run(bench: Bench) -> Iterator[Result]:
    """Start it on an empty folder, give it jobs that are not due, and measure its processes."""
    count = _HELPS if bench.options.rest_seconds >= SECONDS else 1
    yield Result(NAME, HELP, _help(count))
    yield Result(NAME, CLIENT, _client(count))
    folder = bench.base.folder / f"rest-{os.getpid()}-{len(bench.results)}"
    folder.mkdir()
    with _up(folder) as (child, client, started):
        for number in range(_JOBS):
            client.send("POST", "/api/v1/jobs", _job(number))
        time.sleep(bench.options.rest_seconds * _SETTLED_AFTER)
        children = set(usage.children_of(child.pid))
        figures = _look(child.pid, bench.options.rest_seconds)
        ended = len(children - set(usage.children_of(child.pid)))
        everything = list(usage.processes_of(child.pid))
    # None may end by itself, and none may be left behind.
    failures = ended + sum(map(usage.exists, everything))
    yield from (Result(NAME, part, found) for part, found in figures.items())
    together = {name: sum(each[name] for each in figures.values()) for name in _SUMMED}
    window = {"window_s": bench.options.rest_seconds, "seconds": started, "failures": failures}
    yield Result(NAME, TOGETHER, together | window)


@contextmanager
def _up(folder: Path) -> Iterator[tuple[Child, Client, float]]:
    """Run ``chronos up``. Yield a client, and the seconds until it printed its address."""
    port, data = ports.free(), folder / "data"
    command = python("chronos_common.cli", "up", "--data-dir", str(data), "--port", str(port))
    child = Child(program("up", command, folder, installation.environment({})))
    begun = time.monotonic()
    child.start()
    try:
        while not any(_FIRST_LINE in line for line in child.log.last_lines(20)):
            if not child.is_running() or time.monotonic() - begun > _SECONDS_TO_START:
                raise ChildFailed(f"chronos up {child.how_it_ended()}\n{child.last_lines(20)}")
            time.sleep(0.01)
        started = time.monotonic() - begun
        client = Client(f"http://127.0.0.1:{port}", saved_account(data))
        client.log_in()
        yield child, client, started
    finally:
        child.stop()


def _job(number: int) -> Mapping[str, object]:
    return {
        "name": f"yearly {number}",
        "type": "webhook",
        "payload": {"url": "http://127.0.0.1:9/"},
        "schedule_type": "cron",
        "cron_expression": f"0 0 {number + 1} 1 *",
    }


_SERVERS = {"postgres": "PostgreSQL", "valkey-server": "Valkey"}

_SUMMED = ("processes", "pss_mib", "cpu_percent", "wakeups_per_s")


def _look(root: int, seconds: int) -> dict[str, dict[str, float]]:
    """Return the costs of each part: memory now, CPU time and wake-ups over so many seconds."""
    parts = _parts(root)
    before = {part: _spent(pids) for part, pids in parts.items()}
    time.sleep(seconds)
    figures = {}
    for part, pids in parts.items():
        cpu, wakeups = (
            (now - then) / seconds for now, then in zip(_spent(pids), before[part], strict=True)
        )
        figures[part] = {
            "processes": len(pids),
            "pss_mib": sum(map(usage.own_proportional_mib, pids)),
            "cpu_percent": 100 * cpu,
            "wakeups_per_s": wakeups,
        }
    return figures


def _spent(pids: Sequence[int]) -> tuple[float, float]:
    return sum(map(usage.cpu_with_ended_children, pids)), sum(map(usage.wakeups, pids))


def _parts(root: int) -> dict[str, list[int]]:
    """Return the processes by their kinds."""
    parts = {"supervisor": [root]}
    for pid in usage.children_of(root):
        words = usage.command_of(pid)
        # A server writes more than its name there.
        servers = [name for program, name in _SERVERS.items() if program in words[0]]
        parts.setdefault((servers or words[-1:])[0], []).extend(usage.processes_of(pid))
    return parts


def _help(count: int) -> dict[str, float]:
    """Show the help so often, and return the medians."""
    seen = [_help_once() for _ in range(count)]
    return {name: median(each[name] for each in seen) for name in seen[0]}


def _help_once() -> dict[str, float]:
    begun = time.monotonic()
    shown = subprocess.Popen(
        [sys.executable, "-c", _HELP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    text, said = shown.communicate()
    seconds = time.monotonic() - begun
    if "Commands:" not in text:
        raise ChildFailed(f"chronos --help ended ({shown.returncode}): {said}")
    cpu, peak_kib = map(float, said.split()[-2:])
    return {"seconds": seconds, "cpu_s": cpu, "peak_mib": peak_kib / 1024}


def _client(count: int) -> dict[str, float]:
    """Load the client so often, each time in a new program, and return the medians."""
    seen = [
        subprocess.run([sys.executable, "-c", _CLIENT], stdout=subprocess.PIPE, check=True).stdout
        for _ in range(count)
    ]
    seconds, cpu = zip(*(map(float, each.split()) for each in seen), strict=True)
    return {"seconds": median(seconds), "cpu_s": median(cpu)}
