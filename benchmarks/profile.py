"""The time by function: py-spy on scheduler and worker, and samples of PostgreSQL's backends.

py-spy reads the processes from outside, a hundred times a second, without stopping them. It counts
threads that are on a processor. It may be forbidden (containers without ``SYS_PTRACE``). Then its
part is left out, and the report says so.
"""

import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from sqlalchemy import Engine, text

from benchmarks import usage
from benchmarks.installation import Installation

_RATE = 100
_TOP = 20
_SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Profile:
    """Shares of the time (0 to 1), the largest first, under a heading for each part."""

    parts: Mapping[str, Sequence[tuple[str, float]]]

    def as_markdown(self) -> str:
        """Return one table for each part."""
        return "\n".join(_table(heading, rows) for heading, rows in self.parts.items())


class Profiler:
    """Profiles an installation for some seconds, while it works."""

    def __init__(self, installation: Installation, seconds: int) -> None:
        self._installation = installation
        self._seconds = seconds
        self._spies: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._activity: Counter[str] = Counter()
        self._cpu: dict[str, float] = {}
        self._sampler = Thread(target=self._sample, name="activity", daemon=True)

    def start(self) -> None:
        """Begin. It ends by itself."""
        for name in ("scheduler-1", "worker-1"):
            child = self._installation.children[name]
            output = child.program.folder / f"{name}.stacks"
            self._spies[name] = (_spy(child.pid, output, self._seconds), output)
        self._sampler.start()

    def result(self) -> Profile:
        """Wait for the end and return the tables."""
        parts: dict[str, Sequence[tuple[str, float]]] = {}
        for name, (spy, output) in self._spies.items():
            spy.wait(self._seconds + 30)
            what = name.partition("-")[0]
            if not output.exists():
                said = spy.stderr.read().decode(errors="replace") if spy.stderr else ""
                parts[f"{what}: py-spy could not look ({said.strip()[:200]})"] = []
                continue
            stacks = list(_stacks(output))
            parts[f"{what}: in which function"] = _shares(stacks, inclusive=False)
            parts[f"{what}: in which function and what it calls"] = _shares(stacks, inclusive=True)
        self._sampler.join(self._seconds + 30)
        parts["PostgreSQL: CPU seconds in a second, by process"] = _top(self._cpu)
        samples = self._seconds / _SAMPLE_SECONDS
        busy = {name: count / samples for name, count in self._activity.items()}
        parts["PostgreSQL: sessions at work, by statement and what it waits for"] = _top(busy)
        return Profile(parts)

    def _sample(self) -> None:
        (postmaster,) = self._installation.base.server_pids["PostgreSQL"]
        names = dict(_backends(self._installation.engine))
        before, started = usage.cpu_of_children(postmaster), time.monotonic()
        with self._installation.engine.connect() as connection:
            while time.monotonic() - started < self._seconds:
                self._activity.update(connection.execute(_ACTIVITY).scalars())
                time.sleep(_SAMPLE_SECONDS)
        seconds = time.monotonic() - started
        names |= dict(_backends(self._installation.engine))
        for pid, cpu in usage.cpu_of_children(postmaster).items():
            name = names.get(pid, "others")
            spent = (cpu - before.get(pid, 0)) / seconds
            self._cpu[name] = self._cpu.get(name, 0) + spent


_ACTIVITY = text(r"""
    SELECT application_name || ' | ' || coalesce(wait_event_type || ':' || wait_event, 'CPU')
           || ' | ' || left(regexp_replace(query, '\s+', ' ', 'g'), 70)
      FROM pg_stat_activity
     WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'""")

_BACKENDS = text("""
    SELECT pid, backend_type || ' ' || coalesce(application_name, '') AS name
      FROM pg_stat_activity""")


def _backends(engine: Engine) -> Iterator[tuple[int, str]]:
    with engine.connect() as connection:
        for row in connection.execute(_BACKENDS):
            yield row.pid, row.name.strip()


def _spy(pid: int, output: Path, seconds: int) -> subprocess.Popen[bytes]:
    program = str(Path(sysconfig.get_path("scripts")) / "py-spy")
    command = [program, "record", "--pid", str(pid), "--format", "raw", "--output", str(output)]
    command += ["--duration", str(seconds), "--rate", str(_RATE), "--nonblocking", "--function"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _stacks(path: Path) -> Iterator[tuple[list[str], int]]:
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        yield [_short(frame) for frame in stack.split(";")], int(count)


def _short(frame: str) -> str:
    """Leave of ``name (a/long/path.py)`` the last two parts of the path."""
    name, _, path = frame.partition(" (")
    return f"{name} ({'/'.join(path.rstrip(')').split('/')[-2:])})"


def _shares(
    stacks: Sequence[tuple[list[str], int]], *, inclusive: bool
) -> list[tuple[str, float]]:
    total = sum(count for _, count in stacks) or 1
    counts: Counter[str] = Counter()
    for frames, count in stacks:
        for frame in set(frames) if inclusive else frames[-1:]:
            counts[frame] += count
    return _top({name: count / total for name, count in counts.items()})


def _top(values: Mapping[str, float]) -> list[tuple[str, float]]:
    ordered = sorted(values.items(), key=lambda item: -item[1])
    return ordered[:_TOP]


def _table(heading: str, rows: Sequence[tuple[str, float]]) -> str:
    lines = [f"### {heading}", "", "| share | what |", "|---:|---|"]
    lines += [f"| {share:.1%} | `{name.replace('|', '/')}` |" for name, share in rows]
    return "\n".join([*lines, ""])
