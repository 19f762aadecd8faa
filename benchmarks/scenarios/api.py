"""G: how long the API takes to create, read and list jobs, among 100,000 of them.

Requests leave at their instants whether or not earlier ones were answered, and their time counts
from that instant, so that waiting for others shows.
"""

import itertools
import json
import queue
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

from sqlalchemy import text

from benchmarks import load, referee, usage
from benchmarks.bench import Bench
from benchmarks.installation import Installation, installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from chronos_common import clock

NAME = "api"
RATE = 100
_CONNECTIONS = 16
_TIMEOUT_SECONDS = 10.0
_WARMUP_REQUESTS = 200
_KINDS = ("create", "read", "list")

_JOB = {
    "name": "Made by the benchmark",
    "type": "webhook",
    "payload": {"url": "https://example.com/hook", "body": {"template": "weekly_digest"}},
    "schedule_type": "cron",
    "cron_expression": "0 9 * * 1",
    "timezone": "Europe/Berlin",
}


class _Client:
    """Sends requests of three kinds over a few connections that stay open."""

    def __init__(self, chronos: Installation, job_ids: list[str]) -> None:
        self._address = urlsplit(chronos.api_url).netloc
        self._headers = {
            "Authorization": f"Bearer {chronos.access_token}",
            "Content-Type": "application/json",
        }
        self._connections: queue.SimpleQueue[HTTPConnection] = queue.SimpleQueue()
        self._job_ids = itertools.cycle(job_ids)
        self.failures = 0
        for _ in range(_CONNECTIONS):
            connection = HTTPConnection(self._address, timeout=_TIMEOUT_SECONDS)
            self._connections.put(connection)

    def send(self, kind: str, due: float) -> float:
        """Send a request of ``kind``; return the milliseconds from ``due`` to its answer."""
        connection = self._connections.get()
        try:
            match kind:
                case "create":
                    arguments = ("POST", "/api/v1/jobs", json.dumps(_JOB))
                case "read":
                    arguments = ("GET", f"/api/v1/jobs/{next(self._job_ids)}", "")
                case _:
                    arguments = ("GET", "/api/v1/jobs?limit=20", "")
            connection.request(*arguments, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            self.failures += answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}
        finally:
            self._connections.put(connection)
        return (time.monotonic() - due) * 1000


def run(bench: Bench) -> Iterator[Result]:
    """Fill the workspace, then send the three kinds in turn."""
    options = bench.options
    with installation(bench.base) as chronos:
        now = clock.now()
        load.insert(chronos, [Crowd(count=options.api_jobs, idle=True)], first=now, last=now)
        client = _Client(chronos, _some_ids(chronos))
        _send_all(client, count=_WARMUP_REQUESTS, rate=options.api_rate)
        count = options.api_rate * bench.timing.window
        before = usage.measure(chronos.pids)
        times = _send_all(client, count=count, rate=options.api_rate)
        spent = usage.measure(chronos.pids).since(before)
    figures: dict[str, float] = {"requests_per_s": options.api_rate, "failures": client.failures}
    figures |= usage.figures(spent, count=count, seconds=bench.timing.window)
    for kind, ordered in times.items():
        figures[f"{kind}_p50_ms"] = referee.percentile(ordered, 0.5)
        figures[f"{kind}_p99_ms"] = referee.percentile(ordered, 0.99)
    yield Result(NAME, f"{options.api_rate}/s among {options.api_jobs:,} jobs", figures)


def _send_all(client: _Client, *, count: int, rate: int) -> dict[str, list[float]]:
    pending: dict[str, list[Future[float]]] = {kind: [] for kind in _KINDS}
    started = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for number in range(count):
            due = started + number / rate
            time.sleep(max(due - time.monotonic(), 0))
            kind = _KINDS[number % len(_KINDS)]
            pending[kind].append(pool.submit(client.send, kind, due))
    return {kind: sorted(each.result() for each in futures) for kind, futures in pending.items()}


def _some_ids(chronos: Installation) -> list[str]:
    with chronos.engine.connect() as connection:
        query = text("SELECT id::text FROM jobs ORDER BY md5(id::text) LIMIT 1000")
        return list(connection.execute(query).scalars())
