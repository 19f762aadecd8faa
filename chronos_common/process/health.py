"""The port of a scheduler or worker process: its metrics, and whether it makes progress."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from chronos_common.errors import ChronosError
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.process.loops import Loop
from chronos_common.settings import Settings

_log = structlog.get_logger(__name__)

#: Longest duration of a tick: a few statements, or a batch of them, each ending within seconds.
MAX_TICK_SECONDS = 120.0

#: Longest silence of a heartbeat, in its timeouts: PostgreSQL may be away for a moment.
MAX_SILENT_TIMEOUTS = 3

#: The port's thread sleeps this long without a request.
REST_SECONDS = 3600.0

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True, slots=True)
class ProgressCheck:
    """A part of a process, how long it has been silent, and how long it may be."""

    name: str
    silent_seconds: Callable[[], float]
    max_seconds: float


def loop_check(loop: Loop) -> ProgressCheck:
    """Return the check of a loop: it may rest, but no tick may go on for ever."""
    return ProgressCheck(f"loop {loop.name}", lambda: loop.tick_seconds, MAX_TICK_SECONDS)


def heartbeat_check(heartbeat: Heartbeat) -> ProgressCheck:
    """Return the check of a heartbeat, which is renewed while PostgreSQL answers."""
    longest = MAX_SILENT_TIMEOUTS * heartbeat.timeout_seconds
    return ProgressCheck("heartbeat", lambda: heartbeat.silent_seconds, longest)


class Progress:
    """Whether each part of a process makes progress.

    An open port proves little: it answers while another part of the process hangs.
    """

    def __init__(self, checks: Sequence[ProgressCheck]) -> None:
        self._checks = checks

    def faults(self) -> list[str]:
        """Return a sentence for each part that has been silent for too long."""
        silences = [(check, check.silent_seconds()) for check in self._checks]
        return [
            f"{check.name} has made no progress for {silent:.0f} s."
            for check, silent in silences
            if silent > check.max_seconds
        ]


class PortUnusable(ChronosError):
    """This process cannot listen on the port for its metrics."""


def serve(settings: Settings, faults: Callable[[], Sequence[str]]) -> None:
    """Answer at the configured port until the process ends. Port 0 means none.

    ``/metrics`` shows the metrics. ``/health`` answers 503 if there are ``faults``, else 200.
    Raises :class:`PortUnusable`.
    """
    if not settings.metrics_port:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, application(faults), _MetricsServer, handler_class=_Quiet)
    except OSError as error:
        raise PortUnusable(
            f"Metrics cannot be shown on {host} port {port}: {error.strerror}. Choose another "
            "CHRONOS_METRICS_PORT (0 for none), or another CHRONOS_METRICS_HOST."
        ) from error
    # Nothing shuts this server down, so it need not look for that often.
    answering = partial(server.serve_forever, poll_interval=REST_SECONDS)
    Thread(target=answering, name="health", daemon=True).start()


class _MetricsServer(ThreadingWSGIServer):
    """Logs requests that could not be answered."""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's names
        """Log the error, which ``socketserver`` would print."""
        _log.warning("request not answered", client=str(client_address), exc_info=True)


class _Quiet(WSGIRequestHandler):
    """Prints nothing: no line for each request, and errors go to the log."""

    def get_stderr(self) -> Any:
        """Return the file to which wsgiref prints the traceback of an error."""
        return _LogFile()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - wsgiref's name for it
        """Write nothing."""


class _LogFile(StringIO):
    """Logs the text that was written before each flush, as one record."""

    def flush(self) -> None:
        """Log the text and forget it."""
        if text := self.getvalue().strip():
            _log.warning("request not answered", exception=text)
        self.truncate(0)
        self.seek(0)


def application(
    faults: Callable[[], Sequence[str]],
) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """Return the WSGI application that answers at that port."""
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/health":
            shown: Iterable[bytes] = metrics(environ, start_response)
            return shown
        found = list(faults())
        status = "503 Service Unavailable" if found else "200 OK"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"status": "stuck" if found else "ok", "faults": found}).encode()]

    return answer
