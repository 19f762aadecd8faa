"""An installation of Chronos as its users have it, and the target that its jobs call.

PostgreSQL and Valkey are those of ``chronos up``, with its durable settings. API, scheduler and
worker are the commands that users start, with the default settings, except those that are listed
here. Every trial gets a database of its own, a flushed Valkey and fresh processes.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import requests
from sqlalchemy import Engine, create_engine, make_url, text

from benchmarks import target as targets
from benchmarks.processes import program, python
from benchmarks.target import Target
from chronos_common import settings
from chronos_common.broker import connect_redis
from chronos_common.embedded import data_folder as folders
from chronos_common.embedded.processes import ports
from chronos_common.embedded.processes.child import Child, ChildFailed
from chronos_common.embedded.servers import servers
from chronos_common.embedded.servers.servers import Servers
from chronos_common.migrations import schema

EMAIL = "benchmark@example.com"
PASSWORD = secrets.token_urlsafe(12)
_SECONDS_TO_START = 60.0

_SETTINGS = {
    "SECRET_KEY": "a secret of the benchmarks, at least 32 bytes",
    "EGRESS_ALLOW": "127.0.0.0/8",
    # The benchmark is one user with many requests.
    "RATE_LIMIT": "1000000 per minute",
    "USER_RATE_LIMIT": "1000000 per minute",
    "WORKSPACE_RATE_LIMIT": "1000000 per minute",
    "QUOTA_JOBS": "10000000",
    "QUOTA_JOB_BYTES": "100000000000",
    "QUOTA_RUNS_PER_DAY": "100000000000",
}


@dataclass(frozen=True)
class Base:
    """The servers of a whole run of the benchmarks. ``target_kind`` names the target."""

    folder: Path
    servers: Servers
    target_kind: str

    @property
    def server_pids(self) -> dict[str, list[int]]:
        """The servers' first processes by their names."""
        names = {"postgres": "PostgreSQL", "valkey": "Valkey"}
        return {names[child.name]: [child.pid] for child in self.servers.children}


@dataclass(frozen=True)
class Installation:
    """Chronos, running, with the one workspace that owns all jobs."""

    base: Base
    engine: Engine
    target: Target
    api_url: str
    access_token: str
    workspace_id: UUID
    owner_id: UUID
    children: Mapping[str, Child] = field(default_factory=dict)

    @property
    def pids(self) -> dict[str, list[int]]:
        """The processes by their kinds: scheduler, worker, API, servers, target."""
        found: dict[str, list[int]] = {}
        for name, child in self.children.items():
            found.setdefault(name.partition("-")[0], []).append(child.pid)
        return found | self.base.server_pids | {"target": [self.target.child.pid]}

    def check(self) -> None:
        """Raise :class:`ChildFailed` if a process ended that should run."""
        for child in (*self.children.values(), self.target.child):
            if not child.is_running():
                raise ChildFailed(f"{child.name} {child.how_it_ended()}\n{child.last_lines(20)}")


@contextmanager
def base(folder: Path, *, nginx_wanted: bool) -> Iterator[Base]:
    """Run PostgreSQL and Valkey below ``folder``."""
    folders.prepare(folder)
    with servers.start(folder) as running:
        engine = _engine(running.database_url)
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE pristine"))
        engine.dispose()
        pristine = _engine(_url_of(running.database_url, "pristine"))
        schema.upgrade(pristine)
        pristine.dispose()
        yield Base(folder, running, targets.kind(nginx_wanted=nginx_wanted))


@contextmanager
def database(base: Base) -> Iterator[str]:
    """Make a database with Chronos's tables for the block, and return its address."""
    name = f"trial_{secrets.token_hex(4)}"
    engine = _engine(base.servers.database_url)
    connect_redis(base.servers.redis_url).flushall()
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE pristine"))
            yield _url_of(base.servers.database_url, name)
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            # Pages of dropped tables must not be written during the next trial.
            connection.execute(text("CHECKPOINT"))
    finally:
        engine.dispose()


@contextmanager
def installation(
    base: Base,
    *,
    schedulers: int = 1,
    workers: int = 1,
    own_target: bool = False,
    **changes: str,
) -> Iterator[Installation]:
    """Run Chronos on a fresh database. ``changes`` are ``CHRONOS_*`` without the prefix."""
    folder = base.folder / f"trial-{secrets.token_hex(4)}"
    folder.mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(database(base))
        kind = targets.OWN if own_target else base.target_kind
        target = stack.enter_context(targets.running(folder, which=kind))
        engine = _engine(url)
        stack.callback(engine.dispose)
        port = ports.free()
        values = _SETTINGS | {
            "DATABASE_URL": url,
            "REDIS_URL": base.servers.redis_url,
            "DATA_DIR": str(folder),
            "API_PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            **changes,
        }
        names = ["api", *_numbered("scheduler", schedulers), *_numbered("worker", workers)]
        children = {}
        for name in names:
            command = python("chronos_common.cli", name.partition("-")[0])
            children[name] = Child(program(name, command, folder, environment(values)))
            stack.callback(children[name].stop)
            children[name].start()
        api_url = f"http://127.0.0.1:{port}"
        _wait_until_ready(api_url, children)
        token = _log_in(api_url)
        workspace_id, owner_id = _owner(engine)
        yield Installation(base, engine, target, api_url, token, workspace_id, owner_id, children)


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of Chronos, without settings of the user's environment."""
    names = {f"CHRONOS_{name}" for name in values}
    inherited = settings.environment(values)
    return {k: v for k, v in inherited.items() if not k.startswith("CHRONOS_") or k in names}


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(1, count + 1)]


def _engine(url: str) -> Engine:
    """Return an engine for the benchmark's own statements, each committed by itself."""
    address = make_url(url).set(drivername="postgresql+psycopg2")
    return create_engine(
        address, isolation_level="AUTOCOMMIT", connect_args={"application_name": "benchmark"}
    )


def _url_of(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _wait_until_ready(api_url: str, children: Mapping[str, Child]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        for child in children.values():
            if not child.is_running():
                raise ChildFailed(f"{child.name} {child.how_it_ended()}\n{child.last_lines(20)}")
        try:
            if requests.get(f"{api_url}/api/v1/ready", timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        time.sleep(0.1)
    words = "\n".join(f"{child.name}: {child.last_lines(5)}" for child in children.values())
    raise ChildFailed(f"Chronos was not ready within {_SECONDS_TO_START:.0f} s.\n{words}")


def _log_in(api_url: str) -> str:
    account = {"email": EMAIL, "password": PASSWORD}
    requests.post(f"{api_url}/api/v1/auth/register", json=account, timeout=15).raise_for_status()
    answer = requests.post(f"{api_url}/api/v1/auth/login", json=account, timeout=15)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _owner(engine: Engine) -> tuple[UUID, UUID]:
    with engine.connect() as connection:
        row = connection.execute(text("SELECT workspace_id, user_id FROM memberships")).one()
    return row.workspace_id, row.user_id
