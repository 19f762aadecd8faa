"""Lists, statistics and upkeep of a large database: 10 million executions, a million jobs."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from urllib.parse import quote

import requests
from alembic import command
from sqlalchemy import text

from benchmarks import installation as installations
from benchmarks import large_database
from benchmarks.bench import Bench
from benchmarks.installation import Installation, installation
from benchmarks.processes import python
from benchmarks.results import Result
from chronos_common import clock
from chronos_common.migrations import schema
from chronos_scheduler.prune import Pruner

NAME = "large"

#: Every answer of the API.
TARGET_MS = 300

COMMAND = "chronos jobs list, the command"
#: From the start of the command to its end, which shows a first page.
COMMAND_TARGET_SECONDS = 0.5

_TIMES = 5
_TIMEOUT_SECONDS = 60

#: The schema before the newest indexes of ``executions``.
_BEFORE_INDEXES = "0011"


def run(bench: Bench) -> Iterator[Result]:
    """Fill a database, ask for each list, and look after the database."""
    size = bench.options.large
    with installation(bench.base) as chronos:
        now = clock.now()
        began = time.monotonic()
        large_database.fill(chronos.engine, chronos.workspace_id, size, now=now)
        yield Result(NAME, "filling it", {"seconds": time.monotonic() - began})
        yield Result(NAME, "its size", _sizes(chronos, size))
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {chronos.access_token}"
        for name, path in _paths(chronos).items():
            figures = _ask(session, f"{chronos.api_url}/api/v1/{path}", _TIMES)
            yield Result(NAME, name, figures)
        yield Result(NAME, COMMAND, _command(chronos, _TIMES))
        for name, work in _upkeep(bench, chronos).items():
            with _timed() as figures:
                work()
            yield Result(NAME, name, figures)


def _paths(chronos: Installation) -> Mapping[str, str]:
    now = clock.now()
    before = quote((now - timedelta(days=15)).isoformat())
    later = quote((now - timedelta(days=14)).isoformat())
    with chronos.engine.connect() as connection:
        names = {"workspace": chronos.workspace_id}
        busy, idle = (
            connection.execute(text(each), names).scalar_one() for each in (_BUSY, _IDLE)
        )
    lists = {f"jobs?{query}": f"jobs?{query}" for query in _JOBS}
    history = {f"executions?{query}": f"executions?{query}" for query in _EXECUTIONS}
    return {
        **lists,
        **history,
        "executions of two weeks ago": f"executions?until={before}",
        "executions of a day, failed": f"executions?since={before}&until={later}&status=failed",
        "executions of a day, slow": (
            f"executions?since={before}&until={later}&min_duration_ms=10000"
        ),
        "executions of a busy job": f"jobs/{busy}/executions",
        "executions of a busy job, failed": f"jobs/{busy}/executions?status=failed",
        "executions of a busy job, slow": f"jobs/{busy}/executions?min_duration_ms=10000",
        "executions of an idle job": f"executions?job_id={idle}",
        "export, its first lines": f"executions?status=failed#{_CSV}",
        "dashboard": "dashboard/stats",
        "trend of a week": "dashboard/trend?period=7d",
        "statistics of a job": f"jobs/{busy}/statistics",
        "why": f"jobs/{busy}/why?at={before}",
        "forecast": "upcoming",
        "audit log": "audit?",
        "audit log, rare action": "audit?action=key.create",
    }


_CSV = "text/csv"
_BUSY = "SELECT job_id FROM executions WHERE workspace_id = :workspace ORDER BY id DESC LIMIT 1"
_IDLE = "SELECT id FROM jobs WHERE workspace_id = :workspace ORDER BY id DESC LIMIT 1"

_JOBS = (
    "",
    "sort=name",
    "sort=-updated_at",
    "sort=next_run_at",
    "page=500&limit=20",
    "status=paused",
    "status=cancelled",
    "status=cancelled&sort=name",
    "status=cancelled&sort=next_run_at",
    "type=email",
    "type=celery_task",
    "type=celery_task&status=paused",
    "tag=rare",
    "tag=team-7",
    "search=invoices",
    "search=customer 77",
    "search=nothing like it",
    "last_outcome=cancelled",
    "next_run_before=2020-01-01T00:00:00Z",
)
_EXECUTIONS = (
    "",
    "page=500&limit=20",
    "status=succeeded",
    "status=failed",
    "status=skipped",
    "status=running",
    "status=queued",
    "trigger=manual",
    "trigger=retry",
    "http_status=418",
    "http_status=5xx",
    "http_status=204",
    "min_duration_ms=10000",
    "trigger=manual&status=failed",
    "status=failed&min_duration_ms=10000",
    "status=succeeded&http_status=418",
)


def _ask(session: requests.Session, url: str, times: int) -> dict[str, float]:
    """Ask again and again, and return how long the answers took, the first and the median."""
    url, _, media_type = url.partition("#")
    headers = {"Accept": media_type or "application/json"}
    taken, failures = [], 0
    for _ in range(times):
        began = time.monotonic()
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
            next(answer.iter_content(1024), None)
            taken.append(1000 * (time.monotonic() - began))
            failures += not answer.ok
    return {"first_ms": taken[0], "answer_ms": median(taken), "failures": failures}


def _command(chronos: Installation, times: int) -> dict[str, float]:
    """List jobs by the command line, and return the median of its time."""
    command = [*python("chronos_common.cli"), "jobs", "list"]
    server = {"URL": chronos.api_url, "API_KEY": chronos.access_token}
    environment = installations.environment(server)
    taken, failures = [], 0
    for _ in range(times):
        began = time.monotonic()
        done = subprocess.run(command, env=environment, check=False, capture_output=True)
        taken.append(time.monotonic() - began)
        failures += done.returncode != 0 or not done.stdout
    return {"seconds": median(taken), "failures": failures}


def _upkeep(bench: Bench, chronos: Installation) -> Mapping[str, Callable[[], object]]:
    """Return the chores: examine it, remove a day, and upgrade the schema beside the cluster."""
    url = chronos.engine.url.render_as_string(hide_password=False)
    values = {"DATABASE_URL": url, "REDIS_URL": bench.base.servers.redis_url}
    doctor = [*python("chronos_common.cli"), "doctor", "--data-dir", str(bench.base.folder)]
    environment = installations.environment(values)
    pruner = Pruner(chronos.engine, retention=timedelta(days=large_database.DAYS - 2))
    return {
        "chronos doctor": lambda: subprocess.run(
            doctor, env=environment, check=False, capture_output=True
        ),
        "prune, dropping a day": pruner.tick,
        "chronos db upgrade, an index": lambda: _upgrade_again(chronos),
    }


def _upgrade_again(chronos: Installation) -> None:
    """Go back before the newest indexes of ``executions``, and upgrade."""
    config = schema._config()  # noqa: SLF001 - nobody else goes back
    with chronos.engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")
        config.attributes["connection"] = connection
        command.downgrade(config, _BEFORE_INDEXES)
        connection.commit()
    schema.upgrade(chronos.engine)


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    figures: dict[str, float] = {}
    began = time.monotonic()
    yield figures
    figures["seconds"] = time.monotonic() - began


def _sizes(chronos: Installation, size: large_database.Size) -> dict[str, float]:
    with chronos.engine.connect() as connection:
        row = connection.execute(_SIZES).one()
    return {
        "database_mib": row.whole / (1 << 20),
        "bytes_per_job": row.of_jobs / size.jobs,
        "bytes_per_execution": float(row.of_executions) / size.executions,
    }


_SIZES = text("""
    SELECT pg_database_size(current_database()) AS whole,
           pg_total_relation_size('jobs') + pg_total_relation_size('schedules') AS of_jobs,
           (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
             WHERE inhparent = 'executions'::regclass) AS of_executions""")
