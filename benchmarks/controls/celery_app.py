"""A plain Celery application: one message per execution, with Celery's own settings.

    python -m benchmarks.controls.celery_app worker CONFIGURATION POOL CONCURRENCY
    python -m benchmarks.controls.celery_app beat CONFIGURATION ENTRIES FOLDER

CONFIGURATION is a JSON object with ``redis_url``, ``database_url``, ``url`` and ``keep_session``.
"""

import json
import sys
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning

from benchmarks.controls import webhook

TASK = "benchmark.execute"


def build(configuration: dict[str, Any]) -> Celery:
    """Return the application with its one task."""
    app = Celery("benchmark", broker=configuration["redis_url"], set_as_current=True)
    app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]  # Celery has no types
    def execute(job: str) -> None:
        webhook.perform(
            job,
            url=configuration["url"],
            database_url=configuration["database_url"],
            keep_session=configuration["keep_session"],
        )

    return app


def main(role: str, configuration: str, first: str, second: str) -> None:
    """Run the worker, or beat with a number of entries that are due every second."""
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app = build(json.loads(configuration))
    if role == "worker":
        pool = (f"--pool={first}", f"--concurrency={second}")
        app.worker_main(
            ["worker", *pool, "--loglevel=WARNING", "--without-gossip", "--without-mingle"]
        )
        return
    app.conf.beat_schedule = {
        f"job-{number}": {"task": TASK, "schedule": 1.0, "args": (f"job-{number}",)}
        for number in range(int(first))
    }
    app.Beat(schedule=f"{second}/beat", loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
