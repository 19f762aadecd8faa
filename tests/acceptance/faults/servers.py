"""PostgreSQL and Valkey of a test's own, which it may stop, kill, freeze and start again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psycopg2
from redis import Redis
from redis.exceptions import RedisError

from chronos_common.embedded.processes import orphans
from chronos_common.embedded.processes.child import Child
from chronos_common.embedded.servers import postgres as embedded_postgres
from chronos_common.embedded.servers.postgres import Postgres
from chronos_common.embedded.servers.valkey import Valkey
from chronos_common.migrations import schema
from chronos_common.storage.postgres.database import connect
from rigs import wait_until

START_SECONDS = 30

#: Enough for all pools of a stage, and few enough for a test to take the rest.
MAX_CONNECTIONS = 120


@dataclass(frozen=True)
class OwnServers:
    """The two servers of one test; both keep their ports and passwords when they start again."""

    folder: Path
    postgres: Child
    valkey: Child
    database_url: str
    redis_url: str

    @property
    def data(self) -> Path:
        """The folder of PostgreSQL's data."""
        return self.folder / "postgres" / "data"

    def stop_postgres(self, number: signal.Signals = signal.SIGINT) -> None:
        """End PostgreSQL: SIGINT is its fast stop, SIGQUIT its immediate one."""
        self.postgres.signal(number)
        wait_until(lambda: not self.postgres.is_running(), within=START_SECONDS)
        self.postgres.kill()

    def start_postgres(self) -> None:
        """Start PostgreSQL again and wait until it answers."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.postgres.start()
        wait_until(self._postgres_answers, within=START_SECONDS)

    def restart_valkey(self) -> None:
        """Kill Valkey, which keeps nothing on disk, and start it again."""
        self.valkey.kill()
        self.valkey.start()
        wait_until(self._valkey_answers, within=START_SECONDS)

    def redis(self) -> Redis:
        """Return a client of this Valkey."""
        return Redis.from_url(self.redis_url, socket_timeout=10)

    def _postgres_answers(self) -> bool:
        try:
            psycopg2.connect(self.database_url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _valkey_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def own_servers(folder: Path, *, durable: bool = False) -> Iterator[OwnServers]:
    """Run migrated servers in ``folder``; ``durable`` where a crash must lose nothing."""
    postgres, valkey = Postgres(folder, durable=durable), Valkey(folder)
    orphans.end(folder)
    children: list[Child] = []
    try:
        with patch.dict(embedded_postgres._SETTINGS, max_connections=str(MAX_CONNECTIONS)):
            children.append(postgres.start())
        children.append(valkey.start())
        upgrade(postgres.url)
        yield OwnServers(folder, children[0], children[1], postgres.url, valkey.url)
    finally:
        for child in reversed(children):
            child.signal(signal.SIGCONT)
            child.stop()


def upgrade(url: str) -> None:
    """Bring the database to the newest schema."""
    engine = connect(psycopg2_url(url), name="migration")
    schema.upgrade(engine)
    engine.dispose()


def psycopg2_url(url: str) -> str:
    """Return the address as our engines want it."""
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)
