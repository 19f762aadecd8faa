"""APScheduler 3 with its SQLAlchemy store and thread pool.

    python -m benchmarks.controls.apscheduler_app CONFIGURATION JOBS

CONFIGURATION is that of ``celery_app``.
"""

import json
import sys

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler

from benchmarks.controls import webhook

_THREADS = 20


def execute(job: str, url: str, database_url: str, keep_session: bool) -> None:  # noqa: FBT001 - positional, as the job store keeps arguments
    """Perform one execution. The store refers to this function by its name."""
    webhook.perform(job, url=url, database_url=database_url, keep_session=keep_session)


def main(configuration: str, jobs: str) -> None:
    """Run so many jobs every second until SIGTERM."""
    chosen = json.loads(configuration)
    scheduler = BlockingScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=chosen["sqlalchemy_url"])},
        executors={"default": ThreadPoolExecutor(_THREADS)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 3},
    )
    for number in range(int(jobs)):
        name = f"job-{number}"
        arguments = (name, chosen["url"], chosen["database_url"], chosen["keep_session"])
        scheduler.add_job(
            "benchmarks.controls.apscheduler_app:execute",
            "interval",
            seconds=1,
            args=arguments,
            id=name,
        )
    scheduler.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
