"""The installation of ``chronos up`` on one machine: its settings, address and programs."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from chronos_common import setting_types, settings
from chronos_common.domain.hosts import is_loopback
from chronos_common.embedded.data_folder import remember, secret_key
from chronos_common.embedded.processes.child import Program
from chronos_common.embedded.servers.servers import Servers
from chronos_common.settings import Settings

LOOPBACK = "127.0.0.0/8,::1/128"

#: Connections to PostgreSQL: the most of a scheduler or worker, those of an API process beside its
#: threads', and a reserve for psql, the doctor, migrations and backups.
CONNECTIONS_OF_A_SERVICE = 12
CONNECTIONS_BESIDE_THREADS = 2
CONNECTIONS_TO_SPARE = 24

#: API processes, unless the setting says otherwise: one for each processor, within these bounds.
#: Each takes memory at rest, and further ones would wait for a processor.
FEWEST_API_PROCESSES, MOST_API_PROCESSES = 2, 4

_SECONDS_BEYOND_GRACE = 5
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared

# Values of required settings until the data folder is known to be usable, so that the others are
# checked before that.
_PLACEHOLDERS = {
    "DATABASE_URL": "postgresql://chronos@127.0.0.1/chronos",
    "REDIS_URL": "redis://127.0.0.1/0",
    "SECRET_KEY": "-" * setting_types.MIN_SECRET_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One data folder with its settings. ``given`` holds the user's own URLs and secret key."""

    settings: Settings
    given: Mapping[str, str]
    workers: int
    schedulers: int

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.data_dir

    @property
    def address(self) -> str:
        """The API's address on this machine."""
        host = _WILDCARDS.get(self.settings.api_host, self.settings.api_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.api_port}"

    @property
    def connections(self) -> int:
        """The connections that PostgreSQL has to accept from all programs."""
        services = self.schedulers + self.workers
        of_an_api = self.settings.api_threads + CONNECTIONS_BESIDE_THREADS
        return (
            services * CONNECTIONS_OF_A_SERVICE
            + self.settings.api_workers * of_an_api
            + CONNECTIONS_TO_SPARE
        )

    def connect(self, servers: Servers) -> None:
        """Give the programs the servers' addresses and the secret key."""
        urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        secret = self.given.get("SECRET_KEY") or secret_key(self.folder)
        settings.export({**urls, "SECRET_KEY": secret})
        # URLs and keys of the user are not stored.
        own = {name: urls[name] for name in urls.keys() - self.given.keys()}
        remember(self.folder, own | {"PUBLIC_URL": self.address})

    def migration(self) -> Program:
        """Return the program that upgrades the schema."""
        return self._program("migration", "db", "upgrade")

    def admin_account(self, email: str, password_file: Path) -> Program:
        """Return the program that makes an operator's account."""
        options = ("--password-file", str(password_file))
        return self._program("account", "admin", "create", email, *options)

    def programs(self) -> Sequence[Program]:
        """Return the API, the schedulers and the workers."""
        schedulers = _numbered("scheduler", self.schedulers)
        workers = _numbered("worker", self.workers)
        of_api = self.schedulers + self.workers
        return [
            self._program("api", "api", index=of_api),
            *(self._program(name, "scheduler", index=i) for i, name in enumerate(schedulers)),
            *(
                self._program(name, "worker", index=i)
                for i, name in enumerate(workers, start=len(schedulers))
            ),
        ]

    def _program(self, name: str, *arguments: str, index: int = 0) -> Program:
        """Return the program ``chronos <arguments>``. Several have consecutive metrics ports."""
        port = self.settings.metrics_port
        return Program(
            name=name,
            command=[sys.executable, "-P", "-m", "chronos_common.cli", *arguments],
            arguments=arguments,
            folder=self.folder,
            environment=settings.environment({"METRICS_PORT": str(port + index if port else 0)}),
            stopping=((SIGTERM, self.settings.shutdown_grace_seconds + _SECONDS_BEYOND_GRACE),),
        )


def configure(
    options: Mapping[str, object],
    *,
    workers: int = 1,
    schedulers: int = 1,
    with_demo: bool = False,
) -> Installation:
    """Read and check the settings. Those of the command line come first.

    The defaults suit one machine: webhooks may call it if only its own users reach the API, or for
    the demo. Raises :class:`~chronos_common.errors.SettingsInvalid` with one line for each wrong
    one.
    """
    settings.export({name: str(value) for name, value in options.items() if value is not None})
    given = {name: text for name in _PLACEHOLDERS if (text := settings.given(name))}
    settings.export(_PLACEHOLDERS | given)
    settings.export({"DATA_DIR": str(settings.load().data_dir.absolute())})
    # This follows the check, so that a wrong value is reported. The terminal needs JSON lines.
    settings.export({"LOG_FORMAT": "json"})
    if settings.given("API_WORKERS") is None:
        settings.export({"API_WORKERS": str(_api_processes())})
    installation = Installation(
        settings=settings.load(), given=given, workers=workers, schedulers=schedulers
    )
    may_call_itself = with_demo or is_loopback(installation.settings.api_host)
    if settings.given("EGRESS_ALLOW") is None and may_call_itself:
        settings.export({"EGRESS_ALLOW": LOOPBACK})
    if settings.given("PUBLIC_URL") is None:
        settings.export({"PUBLIC_URL": installation.address})
    return installation


def _api_processes() -> int:
    return min(max(os.cpu_count() or 1, FEWEST_API_PROCESSES), MOST_API_PROCESSES)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
