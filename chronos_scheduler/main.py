"""The scheduler as a process: its settings, its log, its signals."""

import signal

from chronos_common.process import health, startup
from chronos_scheduler.service import Scheduler

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def run() -> None:
    """Plan and dispatch until a signal comes."""
    with startup.service() as loaded:
        # Blocked before any thread starts, so that they wait for this one to ask for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        startup.require_database(loaded)
        made = Scheduler(loaded)
        health.serve(loaded, made.progress.faults)
        startup.tune_garbage_collection()
        made.run(wait=lambda: signal.sigwait(STOP_SIGNALS))
