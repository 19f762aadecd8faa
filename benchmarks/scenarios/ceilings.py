"""The limits of this machine: raw requests to the target, raw batched inserts."""

import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import psycopg2
import psycopg2.extras

from benchmarks.bench import Bench
from benchmarks.controls.setting import Setting, setting
from benchmarks.processes import python
from benchmarks.results import Result

NAME = "ceilings"
CURL, INSERTS = "pycurl against the target", "INSERT of 500 rows a commit"

_SECONDS = 5.0
_ROWS = 500


def run(bench: Bench) -> Iterator[Result]:
    """Measure each for some seconds, with nothing else running."""
    with setting(bench.base) as place:
        command = python("benchmarks.controls.curl_load", place.target.url("/ok"), str(_SECONDS))
        said = subprocess.run(command, capture_output=True, check=True, timeout=60)
        yield Result(NAME, CURL, {"done_per_s": float(said.stdout)})
        yield Result(NAME, INSERTS, {"done_per_s": _inserts_per_second(place)})


def _inserts_per_second(place: Setting) -> float:
    connection = psycopg2.connect(place.database_url)
    started, rows = time.monotonic(), 0
    while time.monotonic() - started < _SECONDS:
        identifiers = [str(uuid4()) for _ in range(_ROWS)]
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO control_executions SELECT id, 'job', 'succeeded', 200, now(), 1.5"
                " FROM unnest(CAST(%s AS uuid[])) AS new (id)",
                [identifiers],
            )
        rows += _ROWS
    rate = rows / (time.monotonic() - started)
    connection.close()
    return rate
