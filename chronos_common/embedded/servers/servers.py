"""PostgreSQL and Valkey together, for as long as a ``with`` block lasts."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronos_common.embedded.processes import orphans
from chronos_common.embedded.processes.child import Child
from chronos_common.embedded.processes.shutdown import StopRequest
from chronos_common.embedded.servers.postgres import MOST_CONNECTIONS, Postgres
from chronos_common.embedded.servers.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers' addresses. ``children`` are those that run here, in their order of start."""

    database_url: str
    redis_url: str
    children: Sequence[Child] = ()


@contextmanager
def start(
    data_dir: Path,
    *,
    durable: bool = True,
    connections: int = MOST_CONNECTIONS,
    database_url: str | None = None,
    redis_url: str | None = None,
    stop: StopRequest | None = None,
) -> Iterator[Servers]:
    """Run PostgreSQL and Valkey on ``data_dir`` during the ``with`` block.

    Missing data is created. A URL replaces the server of its kind. PostgreSQL takes
    ``connections`` at once. ``durable=False`` is for tests: faster, and a crash of the machine may
    ruin the data. The caller makes sure that the folder has one user at a time
    (``lock.hold_folder``). Raises :class:`~chronos_common.embedded.processes.child.ChildFailed`
    when a server does not start.
    """
    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    orphans.end(data_dir, stop=stop)
    with ExitStack() as running:
        children = []
        if database_url is None:
            postgres = Postgres(data_dir, durable=durable, connections=connections)
            children.append(postgres.start(stop=stop))
            running.callback(children[-1].stop)
            database_url = postgres.url
        if redis_url is None:
            valkey = Valkey(data_dir)
            children.append(valkey.start(stop=stop))
            running.callback(children[-1].stop)
            redis_url = valkey.url
        yield Servers(database_url, redis_url, tuple(children))
