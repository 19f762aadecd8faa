"""gunicorn, run from here."""

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import gunicorn.http.wsgi
import gunicorn.util
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from sqlalchemy import Engine, event

from chronos_api import context
from chronos_api.app import create_app
from chronos_api.bulk import runner as bulk_runner
from chronos_api.events import hub
from chronos_api.events.hub import Hub
from chronos_api.operations import metrics
from chronos_api.server.framing import MAX_FIELDS, MAX_LINE
from chronos_api.server.refusals import without_queries, write_problem
from chronos_api.server.worker import REST_SECONDS, BufferingWorker
from chronos_common import clock
from chronos_common.embedded.processes import exec_child, ports
from chronos_common.process import startup
from chronos_common.process.loops import Loop
from chronos_common.settings import Settings
from chronos_common.storage.postgres import database

_KEEP_ALIVE_SECONDS = 15
#: How often the clock is compared with the database's.
_CLOCK_SECONDS = 60
#: The same while there are no requests.
_IDLE_CLOCK_SECONDS = 600
_SECONDS_TO_REPLACE_A_FROZEN_WORKER = 60
_COUNTS = "chronos-api"
#: Open connections of one process. Beyond it, a waiting one is closed for each new one.
_MAX_CONNECTIONS = 2000
#: Open files of a process that are no connections of clients.
_OTHER_FILES = 256
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat file, which it makes safely


class ApiServer(BaseApplication):  # type: ignore[misc] # it has no types of its own
    """Serves the API with a few processes of many threads."""

    def __init__(self, settings: Settings, counts: Path | None) -> None:
        self._settings = settings
        self._counts = counts
        super().__init__()

    def load_config(self) -> None:
        """Configure gunicorn by the settings."""
        settings = self._settings
        options: dict[str, Any] = {
            "bind": [f"{_bracketed(host)}:{port}" for _, host, port in _addresses(settings)],
            "worker_class": _worker_class(settings),
            "workers": settings.api_workers,
            # A stream holds a thread for as long as it lasts.
            "threads": settings.api_threads + settings.event_streams,
            "graceful_timeout": int(settings.shutdown_grace_seconds),
            "timeout": _SECONDS_TO_REPLACE_A_FROZEN_WORKER,
            "keepalive": _KEEP_ALIVE_SECONDS,
            "worker_connections": _connections(settings),
            "limit_request_line": MAX_LINE,
            "limit_request_fields": MAX_FIELDS,
            "limit_request_field_size": MAX_LINE,
            # Proxies are trusted by CHRONOS_TRUSTED_PROXIES alone. A name with an underscore would
            # pass for another header, or for a variable of the server like SCRIPT_NAME.
            "forwarded_allow_ips": "",
            "header_map": "refuse",
            "control_socket_disable": True,
            "logger_class": _Logger,
            "proc_name": "chronos-api",
            # Loaded once, and shared by the processes that are forked afterwards.
            "preload_app": True,
            "post_worker_init": _begin,
            "on_exit": self._remove_counts,
        }
        if _SHARED_MEMORY.is_dir():
            # On a busy disk the heartbeat file would stand still and the worker be killed.
            options["worker_tmp_dir"] = str(_SHARED_MEMORY)
        for name, value in options.items():
            self.cfg.set(name, value)

    def _remove_counts(self, _arbiter: Any) -> None:
        if self._counts:
            shutil.rmtree(self._counts, ignore_errors=True)

    def load(self) -> Flask:
        """Return the application. This is called once, before the processes that serve it fork.

        So nothing here may open a connection or start a thread.
        """
        app = create_app(self._settings)
        # The first request sets up 2 MiB. The processes that fork later share them.
        app.test_client().get("/health")
        # Loaded modules stay where they are in memory, so that the processes go on sharing them.
        startup.tune_garbage_collection()
        return app


def _worker_class(settings: Settings) -> type[BufferingWorker]:
    """Return the class of the processes, which gunicorn makes without our settings."""
    return type("ApiWorker", (BufferingWorker,), {"max_body": settings.max_request_bytes})


def _connections(settings: Settings) -> int:
    """Return the connections that each process accepts, within its limit of open files."""
    threads = settings.api_threads + settings.event_streams
    return max(threads + 1, min(_MAX_CONNECTIONS, startup.raise_file_limit() - _OTHER_FILES))


class _Arbiter(Arbiter):  # type: ignore[misc] # it has no types of its own
    """Looks less often for frozen processes. A process that ended is reported by a signal."""

    def wait_for_signals(self, timeout: float) -> list[int]:
        """Wait for signals, longer than by default."""
        signals: list[int] = super().wait_for_signals(timeout * REST_SECONDS)
        return signals


def _begin(worker: Any) -> None:
    """Prepare a process that was just forked."""
    exec_child.end_with(worker.ppid, stop_signal=signal.SIGTERM)
    shared = context.of(worker.app.callable)
    Loop("clock", Clock(shared.engine).tick, idle_seconds=_CLOCK_SECONDS).start()
    bulk_runner.of(worker.app.callable).begin()
    _end_streams_first(hub.of(worker.app.callable))


def _end_streams_first(streams: Hub) -> None:
    """Let SIGTERM end event streams, for which gunicorn would wait its whole grace period."""
    end: Any = signal.getsignal(signal.SIGTERM)

    def end_with_streams(number: int, frame: FrameType | None) -> None:
        streams.stop()
        end(number, frame)

    signal.signal(signal.SIGTERM, end_with_streams)


class _Logger(Logger):  # type: ignore[misc] # it has no types of its own
    """Passes gunicorn's own records on to our log."""

    def setup(self, cfg: Any) -> None:
        """Configure nothing: ``logs.configure`` has."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.addFilter(_cut_queries)
        self.error_log.setLevel(logging.NOTSET)
        self.error_log.propagate = True


def _cut_queries(record: logging.LogRecord) -> bool:
    """Cut the query of each address in a record: it may hold a ticket or an API key."""
    record.msg, record.args = without_queries(record.getMessage()), ()
    return True


def run(settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises :class:`~chronos_common.embedded.processes.ports.AddressUnusable` if another program
    has one of the ports.
    """
    for kind, host, port in _addresses(settings):
        options = {"host_option": f"CHRONOS_{kind}_HOST", "port_option": f"CHRONOS_{kind}_PORT"}
        ports.check_address(host, port, **options)
    # Clients need not know which server this is, and its own errors look like all others.
    gunicorn.http.wsgi.SERVER = "chronos"
    gunicorn.util.write_error = write_problem
    counts = _shared_counts() if settings.api_workers > 1 else None
    _Arbiter(ApiServer(settings, counts)).run()


def _shared_counts() -> Path:
    """Let all processes of this server count their requests in one place."""
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    for left in place.glob(f"{_COUNTS}-*"):
        if not _is_running(left.name.split("-")[-2]):
            # Of a server that was killed.
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_COUNTS}-{os.getpid()}-", dir=place))
    metrics.share(folder)
    return folder


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    return True


class Clock:
    """Keeps this process's clock in step with the database's, as schedulers and workers do.

    It does so less often while nothing else asks the database: a connection takes memory there.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_used = False
        self._due_at = 0.0
        event.listen(engine, "checkout", self._note_use)

    def _note_use(self, *_: object) -> None:
        self._is_used = True

    def tick(self) -> bool:
        """Correct the clock if that is due. Return False: this never has to run again at once."""
        if self._is_used or monotonic() >= self._due_at:
            with database.reading(self._engine) as connection:
                clock.correct_by(database.measure_clock(connection))
            self._due_at = monotonic() + _IDLE_CLOCK_SECONDS
            self._is_used = False
        return False


def _addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield hosts and ports to listen on, each after the part of its settings' names."""
    yield "API", settings.api_host, settings.api_port
    if settings.metrics_port:
        yield "METRICS", settings.metrics_host, settings.metrics_port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
