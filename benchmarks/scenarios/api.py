"""G: how long the API takes to create, read and list jobs, among 100,000 of them.

Requests leave at their instants whether or not earlier ones were answered, and their time counts
from that instant, so that waiting for others shows.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus
from itertools import cycle, islice

from sqlalchemy import text

from benchmarks import load, referee, usage
from benchmarks.bench import Bench
from benchmarks.installation import Installation, installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.steady_client import Request, SteadyClient
from chronos_common import clock

NAME = "api"
RATE = 100
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


def run(bench: Bench) -> Iterator[Result]:
    """Fill the workspace, then send the three kinds in turn."""
    options = bench.options
    with installation(bench.base) as chronos:
        now = clock.now()
        load.insert(chronos, [Crowd(count=options.api_jobs, idle=True)], first=now, last=now)
        headers = [
            f"Authorization: Bearer {chronos.access_token}",
            "Content-Type: application/json",
        ]
        client = SteadyClient(headers)
        requests = _requests(chronos)
        client.send(list(islice(requests, _WARMUP_REQUESTS)), per_second=options.api_rate)
        count = options.api_rate * bench.timing.window
        wanted = list(islice(requests, count))
        before = usage.measure(chronos.pids)
        answers = client.send(wanted, per_second=options.api_rate)
        spent = usage.measure(chronos.pids).since(before)
    failures = sum(each.status not in {HTTPStatus.OK, HTTPStatus.CREATED} for each in answers)
    figures: dict[str, float] = {"requests_per_s": options.api_rate, "failures": failures}
    figures |= usage.figures(spent, count=count, seconds=bench.timing.window)
    for kind in _KINDS:
        ordered = sorted(each.milliseconds for each in answers if each.kind == kind)
        figures[f"{kind}_p50_ms"] = referee.percentile(ordered, 0.5)
        figures[f"{kind}_p99_ms"] = referee.percentile(ordered, 0.99)
    yield Result(NAME, f"{options.api_rate}/s among {options.api_jobs:,} jobs", figures)


def _requests(chronos: Installation) -> Iterator[Request]:
    """Yield requests of the three kinds in turn, for ever."""
    jobs_url = f"{chronos.api_url}/api/v1/jobs"
    body = json.dumps(_JOB)
    for job_id in cycle(_some_ids(chronos)):
        yield Request("create", jobs_url, body)
        yield Request("read", f"{jobs_url}/{job_id}")
        yield Request("list", f"{jobs_url}?limit=20")


def _some_ids(chronos: Installation) -> list[str]:
    with chronos.engine.connect() as connection:
        query = text("SELECT id::text FROM jobs ORDER BY md5(id::text) LIMIT 1000")
        return list(connection.execute(query).scalars())
