"""Where the figures come from: the machine, the versions, and how busy it was before."""

import os
import platform
import shutil
import subprocess
import timeit
from importlib.metadata import version
from pathlib import Path
from typing import cast

from sqlalchemy import create_engine, make_url, text

from benchmarks.installation import Base
from chronos_common import clock
from chronos_common.broker import connect_redis

_PACKAGES = ("celery", "kombu", "redis", "psycopg2-binary", "SQLAlchemy", "pycurl", "requests")


def describe(base: Base) -> dict[str, str]:
    """Return the facts that a reader needs to compare figures with others."""
    one, five, fifteen = os.getloadavg()
    return {
        "Measured at": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{_memory_gib():.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Data on": _file_system(base.folder),
        "Load average before": f"{one:.2f}, {five:.2f}, {fifteen:.2f}",
        "Python": _python(),
        "PostgreSQL": _postgres(base),
        "Valkey": _valkey(base),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "Target": base.target_kind,
        "Chronos": f"{version('chronos-scheduler')}{_commit()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _python() -> str:
    """Return the version, and a figure of the interpreter's build, which matters as much."""
    seconds = min(timeit.repeat("for _ in range(1_000_000): pass", number=1, repeat=5))
    return (
        f"{platform.python_version()}, {1 / seconds:.0f} million turns of an empty loop a second"
    )


def _file_system(folder: Path) -> str:
    """Return the file system of the data, which ``TMPDIR`` selects. On tmpfs there is no disk."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    around = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(around)[1]


def _postgres(base: Base) -> str:
    engine = create_engine(
        make_url(base.servers.database_url).set(drivername="postgresql+psycopg2")
    )
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT version() || '; fsync ' || current_setting('fsync')"
                " || ', synchronous_commit ' || current_setting('synchronous_commit')"
            )
        ).scalar_one()
    engine.dispose()
    return str(found).removeprefix("PostgreSQL ")


def _valkey(base: Base) -> str:
    facts = cast(dict[str, object], connect_redis(base.servers.redis_url).info("server"))
    return str(facts.get("valkey_version") or facts["redis_version"])


def _commit() -> str:
    """Return the commit that is checked out, and whether files were changed since."""
    git = shutil.which("git")
    if git is None or not Path(".git").exists():
        return ""
    command = [git, "describe", "--always", "--dirty=, with changes", "--exclude=*"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return f" ({said.stdout.strip()})" if said.returncode == 0 else ""
