"""A database, a target and the configuration that the controls share."""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from sqlalchemy import make_url

from benchmarks import target as targets
from benchmarks.controls import webhook
from benchmarks.installation import Base, database
from benchmarks.processes import program
from benchmarks.target import Target
from benchmarks.trial import Timing
from chronos_common.broker import connect_redis
from chronos_common.embedded.processes.child import Child
from chronos_common.settings import environment


@dataclass(frozen=True)
class Setting:
    """Where a control runs."""

    base: Base
    folder: Path
    database_url: str
    target: Target

    def configuration(self, *, keep_session: bool = False) -> str:
        """Return the configuration of the controls' programs as JSON."""
        return json.dumps(
            {
                "redis_url": self.base.servers.redis_url,
                "database_url": self.database_url,
                "sqlalchemy_url": make_url(self.database_url)
                .set(drivername="postgresql+psycopg2")
                .render_as_string(hide_password=False),
                "url": self.target.url("/ok"),
                "keep_session": keep_session,
            }
        )

    @contextmanager
    def running(self, name: str, command: Sequence[str]) -> Iterator[Child]:
        """Run a program for the block."""
        child = Child(program(name, command, self.folder, environment({})))
        child.start()
        try:
            yield child
            if not child.is_running():
                raise RuntimeError(f"{name} {child.how_it_ended()}\n{child.last_lines(20)}")
        finally:
            child.kill()  # what it has in memory is of no interest

    def empty_queue(self) -> None:
        """Remove every message."""
        connect_redis(self.base.servers.redis_url).flushall()

    def queued(self) -> int:
        """Return how many messages wait in Celery's own queue."""
        return connect_redis(self.base.servers.redis_url).llen("celery")

    def arrivals_per_second(self, timing: Timing) -> float:
        """Warm up, then return how many requests a second the target gets in the window."""
        time.sleep(timing.warmup)
        before = self.target.arrived()
        time.sleep(timing.window)
        return (self.target.arrived() - before) / timing.window


@contextmanager
def setting(base: Base) -> Iterator[Setting]:
    """Make a fresh database with the controls' table, and run a target."""
    folder = base.folder / f"control-{secrets.token_hex(4)}"
    folder.mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(database(base))
        address = make_url(url).set(drivername="postgresql")
        plain_url = address.render_as_string(hide_password=False)
        connection = psycopg2.connect(plain_url)
        with connection, connection.cursor() as cursor:
            cursor.execute(webhook.TABLE)
        connection.close()
        target = stack.enter_context(targets.running(folder, which=base.target_kind))
        yield Setting(base, folder, plain_url, target)
