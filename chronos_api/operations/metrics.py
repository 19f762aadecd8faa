"""The API's Prometheus metrics: its own requests, and the figures of the installation.

The latter (unfinished executions, queues, live processes) is read from PostgreSQL and Redis at
scrape time, so that every replica answers the same.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from time import monotonic, perf_counter
from typing import cast

import structlog
from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock
from chronos_common.broker import Broker
from chronos_common.domain.statuses import UNFINISHED
from chronos_common.domain.timezones import files
from chronos_common.errors import NotFound, Unavailable
from chronos_common.settings import Settings
from chronos_common.storage import health, quotas, workers
from chronos_common.storage.jobs import schedules
from chronos_common.storage.postgres.database import transaction

_log = structlog.get_logger(__name__)

#: For how long the text is shown again.
_CACHED_SECONDS = 1.0

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts requests, and shows them with the figures of the installation.

    Those of the other processes that serve the same port count too (see :func:`share`).
    """

    def __init__(self, settings: Settings, engine: Engine, broker: Broker) -> None:
        own = CollectorRegistry()
        self._requests = Counter(
            "chronos_api_requests_total",
            "Requests of this API",
            ["method", "route", "status"],
            registry=own,
        )
        self._seconds = Histogram(
            "chronos_api_request_seconds",
            "Time to answer a request",
            ["method", "route"],
            buckets=_SECONDS,
            registry=own,
        )
        self._lock = Lock()
        self._text = b""
        self._stale_at = 0.0
        self._registry = CollectorRegistry()
        if _is_shared():
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        else:
            self._registry.register(own)
        self._registry.register(_Cluster(settings, engine, broker))

    def count(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. ``route`` is its pattern, so that the series stay few."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def expect(self, *, method: str, route: str, statuses: Iterable[int]) -> None:
        """Begin the series of a route and its statuses, so that no first request is missed."""
        self._seconds.labels(method, route)
        for status in statuses:
            self._requests.labels(method, route, str(status))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format, as it was at most a second ago.

        Several scrapers, or one without bounds, cost the database no more than one.
        """
        with self._lock:
            if monotonic() >= self._stale_at:
                self._text = generate_latest(self._registry)
                self._stale_at = monotonic() + _CACHED_SECONDS
            return self._text


_EXTENSION = "chronos-metrics"


def register(app: Flask, settings: Settings, engine: Engine, broker: Broker) -> None:
    """Count the requests of ``app``. Comes before everything else that follows a request."""
    app.extensions[_EXTENSION] = Metrics(settings, engine, broker)
    app.after_request(_count)


def of(app: Flask) -> Metrics:
    """Return the metrics of the application."""
    return cast(Metrics, app.extensions[_EXTENSION])


_PATH = "/metrics"
_SHOWN_APART = frozenset({_PATH, "/health"})


def keep_apart(app: Flask, port: int) -> None:
    """Show metrics on ``port`` only, and nothing but them and health there. 0 is no such port.

    So strangers, who need not reach that port, do not see them.
    """
    if not port:
        return

    def check() -> None:
        if request.environ.get("SERVER_PORT") == str(port):
            if request.path not in _SHOWN_APART:
                raise NotFound(f"This port shows {' and '.join(sorted(_SHOWN_APART))} only.")
        elif request.path == _PATH:
            raise NotFound("Metrics are shown on a port of their own, CHRONOS_METRICS_PORT.")

    app.before_request(check)


def _count(response: Response) -> Response:
    of(current_app).count(
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "unknown",
        status=response.status_code,
        seconds=perf_counter() - g.started,
    )
    return response


_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share(folder: Path) -> None:
    """Keep the counts of this process, and of those that it will fork, in files of ``folder``.

    Whichever of them is scraped then adds up all of them.
    """
    os.environ[_FOLDER] = str(folder)  # noqa: TID251 - where prometheus_client looks for it
    values.ValueClass = MultiProcessValue()  # type: ignore[no-untyped-call]


def _is_shared() -> bool:
    return _FOLDER in os.environ  # noqa: TID251 - where prometheus_client looks for it


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Cluster(Collector):
    """Reads the figures of the installation."""

    def __init__(self, settings: Settings, engine: Engine, broker: Broker) -> None:
        self._settings = settings
        self._alive_within = settings.worker_timeout
        self._engine = engine
        self._broker = broker

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not read the database when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of the services that answer, and ``chronos_up`` for each service."""
        yield InfoMetricFamily(
            "chronos_timezone_database",
            "The release of the time zone database that this process follows",
            value={"version": files.VERSION},
        )
        up = GaugeMetricFamily("chronos_up", "1 if the service answers", labels=["service"])
        for service, read in (("database", self._database), ("redis", self._redis)):
            try:
                found = list(read())
            except (SQLAlchemyError, Unavailable) as error:
                _log.warning("cannot read metrics", service=service, error=str(error))
                up.add_metric([service], 0)
            else:
                up.add_metric([service], 1)
                yield from found
        yield up

    def _database(self) -> Iterator[Metric]:
        now = clock.now()
        with transaction(self._engine) as connection:
            unfinished = health.count_unfinished(connection)
            overdue = health.oldest_overdue(connection, now=now)
            late, _ = schedules.overdue(connection, before=now - self._alive_within)
            alive = workers.count_alive(connection, alive_since=now - self._alive_within)
            near = quotas.count_near(connection, settings=self._settings, now=now)
        yield _gauges(
            "chronos_unfinished_executions",
            "Executions that have not ended yet",
            "status",
            {status: unfinished.get(status, 0) for status in sorted(UNFINISHED)},
        )
        yield _gauge(
            "chronos_oldest_overdue_seconds",
            "For how long the most overdue queued execution has been due",
            overdue.total_seconds(),
        )
        yield _gauges(
            "chronos_workspaces_near_quota",
            "Workspaces that use four fifths of a quota or more",
            "quota",
            near,
        )
        yield _gauge(
            "chronos_overdue_schedules", "Schedules that no scheduler has planned in time", late
        )
        yield _gauges(
            "chronos_live_processes",
            "Processes that gave a sign of life lately",
            "kind",
            {kind: alive.get(kind, 0) for kind in ("scheduler", "worker")},
        )

    def _redis(self) -> Iterator[Metric]:
        yield _gauges(
            "chronos_queue_depth",
            "Messages that wait in the queue",
            "queue",
            self._broker.depths(),
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
