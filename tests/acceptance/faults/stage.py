"""Where faults are injected: servers, processes, a target, a load, and the account at the end."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from acceptance.cluster import Cluster, running
from acceptance.faults import load as loads
from acceptance.faults.account import Account, account
from acceptance.faults.fleet import Fleet
from acceptance.faults.load import Load
from acceptance.faults.proxy import Proxy
from acceptance.faults.servers import OwnServers, own_servers, psycopg2_url
from chronos_common.storage.postgres.database import connect
from targets import Received, Target, after

#: Long enough for some requests to be on their way whenever a fault comes.
ANSWER_SECONDS = 0.05

_SETTINGS = {
    # How soon silent workers count as lost, so that a test takes no minute; the default is 15.
    "WORKER_TIMEOUT_SECONDS": "6",
    "ACCESS_TOKEN_MINUTES": "1440",
    "RATE_LIMIT": "60000 per minute",
    "USER_RATE_LIMIT": "60000 per minute",
    "WORKSPACE_RATE_LIMIT": "60000 per minute",
}

QUIET_SECONDS = 60

#: A start within this of its instant says that nothing lags behind.
IN_TIME_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass
class Stage:
    """An installation with a target and whoever watches both."""

    servers: OwnServers
    fleet: Fleet
    target: Target
    engine: Engine
    proxies: Mapping[str, Proxy]  # by what is behind them: postgres, redis, target

    @property
    def cluster(self) -> Cluster:
        """The processes' environment, logs and API."""
        return self.fleet.cluster

    def begin(self, *, per_second: int = 300, path: str = "/", **changes: Any) -> Load:
        """Begin a load against the target, and wait until it flows in time.

        Until then a slow machine sends what was due while the jobs were stored, all at once. A
        fault would find more on its way than a load of this rate has.
        """
        proxy = self.proxies.get("target")
        url = (proxy.url if proxy else self.target.url) + path
        load = loads.begin(self.engine, per_second=per_second, url=url, **changes)
        seen = len(self.target.received)
        self.until(
            lambda: len(self.target.received) >= seen + per_second and self._is_in_time(),
            within=60,
        )
        return load

    def wait(self, seconds: float) -> None:
        """Let the load go on for a while; what dies is started again."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.fleet.tend()
            time.sleep(_POLL_SECONDS)

    def until(self, condition: Callable[[], bool], *, within: float = 30) -> float:
        """Wait for a condition; return how many seconds that took. What dies is started again."""
        began = time.monotonic()
        while not condition():
            took = time.monotonic() - began
            assert took < within, f"it did not happen within {within} s\n{self.fleet.complaints()}"
            self.fleet.tend()
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - began

    def recover(self, *, within: float = 30) -> float:
        """Wait until requests leave in time again; return how many seconds that took."""
        began = time.monotonic()
        self.wait(0.5)
        self.until(self._is_in_time, within=within)
        took = time.monotonic() - began
        print(f"recovered after {took:.1f} s")  # noqa: T201 - shown with a failure
        return took

    def _is_in_time(self) -> bool:
        latest = self.target.received[-20:]
        return time.time() - latest[0].arrived_at < 1 and all(
            each.arrived_at - _scheduled_for(each) < IN_TIME_SECONDS for each in latest
        )

    def end(self, load: Load, *, within: float = QUIET_SECONDS) -> Account:
        """End the load, wait until it is quiet or cannot be waited for, and account for it."""
        load.end()
        deadline = time.monotonic() + within
        while not load.is_quiet() and time.monotonic() < deadline:
            self.fleet.tend()
            time.sleep(_POLL_SECONDS * 4)
        return account(self.engine, load, self.target.received)


@contextmanager
def stage(
    folder: Path,
    *,
    schedulers: int = 2,
    workers: int = 2,
    durable: bool = False,
    proxied: bool = False,
    servers: OwnServers | None = None,
    **settings: str,
) -> Iterator[Stage]:
    """Run an installation on ``servers``, or its own; ``settings`` are ``CHRONOS_*``.

    ``proxied`` puts a proxy before PostgreSQL, Redis and the target.
    """
    with ExitStack() as open_now:
        if servers is None:
            servers = open_now.enter_context(
                own_servers(made(folder / "servers"), durable=durable)
            )
        target = _start_target()
        open_now.callback(target.close)
        behind = {
            "postgres": servers.database_url,
            "redis": servers.redis_url,
            "target": target.url,
        }
        proxies = {name: Proxy(url) for name, url in behind.items()} if proxied else {}
        for proxy in proxies.values():
            open_now.callback(proxy.close)
        urls = behind | {name: proxy.url for name, proxy in proxies.items()}
        cluster = open_now.enter_context(
            running(
                made(folder / "logs"),
                database_url=urls["postgres"],
                redis_url=urls["redis"],
                schedulers=schedulers,
                workers=workers,
                **_SETTINGS | settings,
            )
        )
        kinds = ["api", *["scheduler"] * schedulers, *["worker"] * workers]
        fleet = Fleet(cluster, kinds)
        engine = connect(psycopg2_url(servers.database_url), name="test", checks_pooled=True)
        open_now.callback(engine.dispose)
        yield Stage(servers, fleet, target, engine, proxies)


def _start_target() -> Target:
    target = Target()
    target.answer = after(ANSWER_SECONDS)
    target.start()
    return target


def _scheduled_for(received: Received) -> float:
    return datetime.fromisoformat(received.headers["x-chronos-scheduled-for"]).timestamp()


def made(folder: Path) -> Path:
    """Return a folder that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
