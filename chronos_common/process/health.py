"""The port of a scheduler or worker process: its metrics, and whether it makes progress."""

import json
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from chronos_common.errors import ChronosError
from chronos_common.settings import Settings

_log = structlog.get_logger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class PortUnusable(ChronosError):
    """This process cannot listen on the port for its metrics."""


def serve(settings: Settings, faults: Callable[[], Sequence[str]]) -> None:
    """Answer at the configured port, unless it is 0, until the process ends.

    ``/metrics`` shows the metrics, ``/health`` whether there are ``faults``: 200 or 503.
    Raises :class:`PortUnusable`.
    """
    if not settings.metrics_port:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, application(faults), _Server, handler_class=_Quiet)
    except OSError as error:
        raise PortUnusable(
            f"Metrics cannot be shown on {host} port {port}: {error.strerror}. Choose another "
            "CHRONOS_METRICS_PORT (0 for none), or another CHRONOS_METRICS_HOST."
        ) from error
    Thread(target=server.serve_forever, name="probe", daemon=True).start()


class _Server(ThreadingWSGIServer):
    """Tells the log of a request that could not be answered."""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's names
        """Log the error, which would be printed otherwise."""
        _log.warning("request not answered", client=str(client_address), exc_info=True)


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request, and none that is not of the log."""

    def get_stderr(self) -> Any:
        """Return where wsgiref prints the traceback of an error."""
        return _LogFile()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - wsgiref's name for it
        """Write nothing."""


class _LogFile(StringIO):
    """Makes what is written until it is flushed a record of the log."""

    def flush(self) -> None:
        """Log it."""
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
