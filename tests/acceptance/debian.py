"""``python -m tests.acceptance.debian``: faults on Debian's PostgreSQL, Redis and PgBouncer.

Not collected by pytest. Runs an installation under a steady load on the servers of the machine's
packages ``postgresql``, ``redis-server`` and ``pgbouncer``: directly, through a pool of sessions,
and with a standby that takes the place of a primary that was stopped at once. Each ends with the
account of every occurrence; the exit code says whether all figures are zero.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from acceptance.faults.debian_servers import DebianServers, Missing, debian_servers
from acceptance.faults.stage import Stage, stage
from acceptance.faults.triggers import Triggers

#: What may be asked again after a worker's connections broke.
REPEATED = 0.2
RECOVERED_WITHIN = 60
PER_SECOND = 100


def restarts(servers: DebianServers, installation: Stage) -> None:
    """Restart PostgreSQL, stop it at once, kill Redis."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        servers.own.stop_postgres(number)
        installation.wait(3)
        servers.own.start_postgres()
        installation.recover(within=RECOVERED_WITHIN)
    servers.own.restart_valkey()
    installation.recover(within=RECOVERED_WITHIN)


def pool_restart(servers: DebianServers, installation: Stage) -> None:
    """The same through the pool, which is killed as well."""
    restarts(servers, installation)
    servers.pool.kill()
    installation.wait(3)
    servers.pool.start()
    installation.recover(within=RECOVERED_WITHIN)


def failover(servers: DebianServers, installation: Stage) -> None:
    """Stop the primary at once, and promote the standby, which the clients find by themselves."""
    servers.own.stop_postgres(signal.SIGQUIT)
    installation.wait(5)
    servers.promote()
    installation.recover(within=RECOVERED_WITHIN)


def pool_failover(servers: DebianServers, installation: Stage) -> None:
    """The same, and the pool leads the clients to the standby."""
    servers.own.stop_postgres(signal.SIGQUIT)
    installation.wait(5)
    servers.promote()
    servers.lead_pool_to_standby()
    installation.recover(within=RECOVERED_WITHIN)


Scenario = Callable[[DebianServers, Stage], None]
SCENARIOS: Mapping[str, tuple[Scenario, str]] = {
    "direct": (restarts, "primary"),
    "pgbouncer": (pool_restart, "pool"),
    "failover": (failover, "both"),
    "failover-pgbouncer": (pool_failover, "pool"),
}


def main() -> int:
    """Run the scenarios, and return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="debian", description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--per-second", type=int, default=PER_SECOND)
    options = parser.parse_args()
    try:
        for name in options.scenarios or SCENARIOS:
            _run(name, options.per_second)
    except Missing as missing:
        _say(missing)
        return 2
    except AssertionError as fault:
        _say(f"FAILED: {fault}")
        return 1
    return 0


def _run(name: str, per_second: int) -> None:
    scenario, way = SCENARIOS[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user
        with (
            debian_servers(Path(folder) / "servers", way=way) as servers,
            stage(Path(folder), servers=servers.own, WORKER_TIMEOUT_SECONDS="15") as installation,
        ):
            _say(f"{name}: {servers.versions()}")
            load = installation.begin(per_second=per_second)
            with Triggers(installation) as triggers:
                scenario(servers, installation)
                installation.until(triggers.is_answered, within=RECOVERED_WITHIN)
            account = installation.end(load, within=180)
            _say(f"{name}: {account}")
            _say(f"{name}: processes that ended by themselves: {installation.fleet.deaths}")
            triggers.assert_all_ran(within=RECOVERED_WITHIN)
            account.assert_nothing_lost(within=180, repeated=int(account.expected * REPEATED))
    _say(f"{name}: nothing was lost, {time.monotonic() - began:.0f} s")


def _say(text: object) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
