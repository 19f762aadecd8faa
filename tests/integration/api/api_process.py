"""``chronos api`` as a process."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from child_processes import inherited_environment
from rigs import wait_until

_CLI = "from chronos_common import cli; cli.main()"
SECRET_KEY = "a key of the tests, with 32 bytes or more"


class Server:
    """A running ``chronos api``."""

    def __init__(self, environment: dict[str, str], log: Path, code: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_url = f"http://127.0.0.1:{environment.get('CHRONOS_METRICS_PORT', 0)}"
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{code}\n{_CLI}", "api"],
                env=environment | {"CHRONOS_API_PORT": str(self.port)},
                stderr=output,
            )

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def speak(self, request: bytes) -> bytes:
        """Send bytes as they are, and return the whole answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def serving(database_url: str, redis_url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """Run a server, which must end in order afterwards."""
    server = Server(environment(database_url, redis_url) | settings, folder / "api.log")
    try:
        wait_until(server.is_up, within=60)
        yield server
        assert server.stop() == 0, server.log.read_text()
    finally:
        server.process.kill()
        server.process.wait()


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """Return the environment of a server whose limits nothing meets."""
    return inherited_environment() | {
        "CHRONOS_DATABASE_URL": database_url,
        "CHRONOS_REDIS_URL": redis_url,
        "CHRONOS_SECRET_KEY": SECRET_KEY,
        "CHRONOS_API_THREADS": "4",
        "CHRONOS_RATE_LIMIT": "1000000 per minute",
        "CHRONOS_LOGIN_RATE_LIMIT": "1000000 per minute",
    }
