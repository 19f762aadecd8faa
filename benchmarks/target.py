"""Starts the target: nginx where it is installed, else the referee server of ours.

nginx answers ``/ok`` and ``/fail-first`` and logs the same line, in whole milliseconds. Late
answers always come from the referee server.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import requests

from benchmarks import referee_server
from benchmarks.processes import program, python
from chronos_common.embedded.processes.child import Child, ChildFailed
from chronos_common.embedded.processes.ports import start_on_free_port

_SECONDS_TO_START = 10.0
_SETTLE_SECONDS = 1.0

NGINX = "nginx"
OWN = "referee server (Python, epoll)"

_NGINX_CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  log_format referee '$msec\\t$http_x_chronos_job_id\\t$http_webhook_id\\t'
                     '$http_x_chronos_scheduled_for\\t$http_x_chronos_attempt';
  access_log {log} referee buffer=64k flush=500ms;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 100000000; keepalive_timeout 600s;
  server {{
    {listen}
    location = /ok {{ return 200 "ok"; }}
    location = /fail-first {{
      if ($http_x_chronos_attempt = "1") {{ return 500 "no"; }}
      return 200 "ok";
    }}
  }}
}}
"""


class Arrival(NamedTuple):
    """A request as the target logged it: nanoseconds since 1970, and its headers' values."""

    at_ns: int
    job_id: str
    execution_id: str
    scheduled_ms: int
    attempt: int


@dataclass(frozen=True)
class Target:
    """A target that runs."""

    child: Child
    port: int
    log: Path

    def url(self, path: str, *, host: str = referee_server.HOSTS[0]) -> str:
        """Return the address of ``path`` on one of the target's hosts."""
        return f"http://{host}:{self.port}{path}"

    def arrivals(self) -> list[Arrival]:
        """Return every request that was logged until now, after it was written to the file."""
        time.sleep(_SETTLE_SECONDS)
        with self.log.open() as lines:
            return [_arrival(line) for line in lines]

    def arrived(self) -> int:
        """Return how many requests are in the file. Those of the last moment may be missing."""
        return self.log.read_bytes().count(b"\n")


def kind(*, nginx_wanted: bool) -> str:
    """Return which target there will be."""
    return NGINX if nginx_wanted and shutil.which(NGINX) else OWN


@contextmanager
def running(folder: Path, *, which: str) -> Iterator[Target]:
    """Run the target, logging into ``folder``."""
    log = folder / "arrivals.log"
    log.touch()
    port = 0

    def child_on(chosen: int) -> Child:
        nonlocal port
        port = chosen
        command = _nginx(folder, port, log) if which == NGINX else _own(port, log)
        return Child(program("target", command, folder))

    child = start_on_free_port(child_on, lambda child: _wait(child, port))
    try:
        log.write_bytes(b"")  # the question whether it answers was logged too
        yield Target(child, port, log)
    finally:
        child.stop()


def _own(port: int, log: Path) -> list[str]:
    return python("benchmarks.referee_server", str(port), str(log))


def _nginx(folder: Path, port: int, log: Path) -> list[str]:
    configuration = folder / "nginx.conf"
    listen = " ".join(f"listen {host}:{port} backlog=4096;" for host in referee_server.HOSTS)
    configuration.write_text(_NGINX_CONFIGURATION.format(folder=folder, log=log, listen=listen))
    return [shutil.which(NGINX) or NGINX, "-c", str(configuration), "-e", f"{folder}/nginx.err"]


def _wait(child: Child, port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and child.is_running():
        try:
            requests.get(f"http://127.0.0.1:{port}/ok", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            time.sleep(_SETTLE_SECONDS)  # until it is in the log, from which it is removed
            return
    raise ChildFailed(f"The target did not start:\n{child.last_lines(8)}")


def _arrival(line: str) -> Arrival:
    at, job_id, execution_id, scheduled_for, attempt = line.rstrip("\n").split("\t")
    return Arrival(
        _nanoseconds(at),
        job_id,
        execution_id,
        _milliseconds(scheduled_for),
        int(attempt) if attempt.isdigit() else 0,
    )


def _nanoseconds(text: str) -> int:
    seconds, point, rest = text.partition(".")
    return int(seconds + rest.ljust(9, "0")) if point else int(seconds)


def _milliseconds(text: str) -> int:
    """Parse ``2026-11-21T06:30:00.000Z`` quickly. Return -1 if a control did not send it."""
    if len(text) != len("2026-11-21T06:30:00.000Z"):
        return -1
    if text[:19] not in _SECONDS:
        _SECONDS[text[:19]] = round(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp())
    return _SECONDS[text[:19]] * 1000 + int(text[20:23])


_SECONDS: dict[str, int] = {}
