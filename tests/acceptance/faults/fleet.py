"""The processes of an installation, as an operator's supervisor keeps them: dead ones return."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from acceptance.cluster import Cluster
from programs import Process


@dataclass
class Member:
    """A process that is started again when it ends, with settings of its own."""

    kind: str
    process: Process
    settings: Mapping[str, str] = field(default_factory=dict)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@dataclass(frozen=True)
class Death:
    """How a process ended; ``code`` is negative for a signal."""

    kind: str
    code: int


class Fleet:
    """All processes of a cluster."""

    def __init__(self, cluster: Cluster, kinds: Sequence[str]) -> None:
        """Take over what the cluster has started, in the order of ``kinds``."""
        self.cluster = cluster
        self.deaths: list[Death] = []
        self.members = [
            Member(kind, process) for kind, process in zip(kinds, cluster.processes, strict=True)
        ]

    def add(self, kind: str, **settings: str) -> Member:
        """Start one more process, with ``CHRONOS_*`` settings of its own."""
        member = Member(kind, self.cluster.start(kind, **settings), settings)
        self.members.append(member)
        return member

    def complaints(self) -> str:
        """Return what was last logged of troubles by each process, shortened."""
        found = []
        for path in sorted(self.cluster.log_dir.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            troubles = [line[:300] for line in lines if '"level": "info"' not in line]
            found += [f"--- {path.name}", *troubles[-5:]]
        return "\n".join(found)

    def of(self, kind: str) -> Sequence[Member]:
        """Return the processes of a kind: api, scheduler or worker."""
        return [member for member in self.members if member.kind == kind]

    def kill(self, member: Member) -> None:
        """Kill the process and all that it started, as kill -9 does; it is not started again."""
        member.signal(signal.SIGKILL)
        member.process.wait()
        self.members.remove(member)

    def victim(self, kind: str, **settings: str) -> Process:
        """Start a process that nobody starts again."""
        return self.cluster.start(kind, **settings)

    def replace(self, member: Member, **settings: str) -> Member:
        """Kill the process, and start another one in its place."""
        self.kill(member)
        return self.add(member.kind, **settings)

    def tend(self) -> None:
        """Start again what ended by itself, and note how it ended."""
        for member in self.members:
            code = member.process.poll()
            if code is not None:
                self.deaths.append(Death(member.kind, code))
                member.signal(signal.SIGKILL)
                member.process = self.cluster.start(member.kind, **member.settings)
