"""The costs of processes: CPU seconds and memory, as the kernel shows them in ``/proc``."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError)


#: The name under which everything is found that is none of the named processes.
OTHERS = "others"
#: The name under which the time is found that a hypervisor gave to other guests of the host.
STOLEN = "stolen"


@dataclass(frozen=True)
class Usage:
    """CPU seconds until now of each named process with its descendants, and of all others.

    The others are the kernel's own threads, the benchmark, and anything that disturbs it. Stolen
    time could not be used here, although a process waited for it.
    """

    cpu_seconds: Mapping[str, float]

    def since(self, before: "Usage") -> dict[str, float]:
        """Return the CPU seconds that each spent since ``before``."""
        return {name: cpu - before.cpu_seconds[name] for name, cpu in self.cpu_seconds.items()}


def measure(pids: Mapping[str, list[int]]) -> Usage:
    """Add up the CPU time of each name's processes."""
    named = {name: sum(map(_cpu_of_tree, roots)) for name, roots in pids.items()}
    used, stolen = _cpu_of_machine()
    return Usage(named | {OTHERS: used - sum(named.values()), STOLEN: stolen})


def figures(spent: Mapping[str, float], *, count: int, seconds: float) -> dict[str, float]:
    """Return the costs of ``count`` executions or requests, by the names that results keep.

    ``spent`` are CPU seconds of :meth:`Usage.since` within so many ``seconds``.
    """
    by_cores = (OTHERS, STOLEN)
    costs = {
        f"cpu_{name}_s_per_1000": cpu / count * 1000
        for name, cpu in spent.items()
        if name not in by_cores
    }
    return costs | {f"{name}_cores": spent[name] / seconds for name in by_cores}


def reset_peaks(pids: Mapping[str, list[int]]) -> None:
    """Let the kernel measure peak memory anew from now on."""
    for pid in (each for roots in pids.values() for root in roots for each in _tree(root)):
        with suppress(*_GONE, PermissionError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def peaks_mib(pids: Mapping[str, list[int]]) -> dict[str, float]:
    """Return the largest resident memory that one process of each name had, in MiB."""
    return {
        name: max((_status_mib(pid, "VmHWM") for root in roots for pid in _tree(root)), default=0)
        for name, roots in pids.items()
    }


def resident_mib(pid: int) -> float:
    """Return the memory that a process occupies now, in MiB."""
    return _status_mib(pid, "VmRSS")


def proportional_mib(root: int) -> float:
    """Return the memory of a tree of processes in MiB, shared pages counted once."""
    return sum(map(own_proportional_mib, _tree(root)))


def own_proportional_mib(pid: int) -> float:
    """Return the memory of one process in MiB, with its share of common pages."""
    with suppress(*_GONE, PermissionError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0


def cpu_of_children(root: int) -> dict[int, float]:
    """Return the CPU seconds of a process and of each that it started, by process id."""
    return {pid: _cpu(pid, with_children=False) for pid in _tree(root)}


def cpu_with_ended_children(pid: int) -> float:
    """Return the CPU seconds of one process, and of those that it started and that have ended."""
    return _cpu(pid, with_children=True)


def wakeups(pid: int) -> int:
    """Return how often the threads of a process have slept, and so were woken, until now."""
    count = 0
    with suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    count += int(line.split()[1])
    return count


def processes_of(root: int) -> Iterator[int]:
    """Yield a process and all that it started."""
    return _tree(root)


def children_of(pid: int) -> list[int]:
    """Return the processes that this one started itself."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def command_of(pid: int) -> list[str]:
    """Return the words of a process's command."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    # A process that shows another command than it was started with shows one text.
    return words if len(words) > 1 else words[0].split()


def exists(pid: int) -> bool:
    """Return whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def _cpu_of_machine() -> tuple[float, float]:
    """Return the CPU seconds that all processes used, and those that were stolen from them."""
    # user nice system idle iowait irq softirq steal
    fields = [int(each) for each in _STAT.read_text().splitlines()[0].split()[1:9]]
    return sum([*fields[:3], *fields[5:7]]) / _TICKS, fields[7] / _TICKS


def _cpu_of_tree(root: int) -> float:
    # A process that ended was waited for by its parent, and counts there.
    return sum(_cpu(pid, with_children=True) for pid in _tree(root))


def _cpu(pid: int, *, with_children: bool) -> float:
    with suppress(*_GONE):
        # The name before the last parenthesis may contain anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11 : 15 if with_children else 13])) / _TICKS
    return 0


def _tree(root: int) -> Iterator[int]:
    yield root
    with suppress(*_GONE):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _status_mib(pid: int, field: str) -> float:
    with suppress(*_GONE):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return 0
