"""The worker as a process: its settings, its log and its exit."""

import os

from chronos_common.process import health, startup
from chronos_worker.service import Worker


def run() -> None:
    """Execute jobs until a signal comes, and end this process."""
    with startup.service() as settings:
        # Until Celery handles them. A worker whose port answers can be stopped.
        startup.hold_stop_signals()
        startup.require_database(settings)
        startup.warn_without_redis(settings)
        worker = Worker(settings)
        health.serve(settings, worker.progress.faults)
        startup.tune_garbage_collection()
        exit_code = worker.run()
    # Threads that block past the grace period, as on a hanging mail server, are left to rescue.
    os._exit(exit_code)
