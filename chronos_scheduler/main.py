"""The scheduler as a process: its settings, its log, its signals."""

import signal

from chronos_common.process import health, startup
from chronos_scheduler.service import Scheduler


def run() -> None:
    """Plan and dispatch until a signal comes."""
    with startup.service() as settings:
        startup.hold_stop_signals()
        startup.require_database(settings)
        startup.warn_without_redis(settings)
        scheduler = Scheduler(settings)
        health.serve(settings, scheduler.progress.faults)
        startup.tune_garbage_collection()
        scheduler.run(wait=lambda: signal.sigwait(startup.STOP_SIGNALS))
