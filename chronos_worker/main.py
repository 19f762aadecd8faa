"""The worker as a process: its settings, its log, its end."""

import os

from chronos_common import interpreter
from chronos_common.process import health, startup
from chronos_worker.service import Worker


def run() -> None:
    """Perform executions until a signal comes, and end this process."""
    with startup.service() as loaded:
        startup.require_database(loaded)
        made = Worker(loaded)
        health.serve(loaded, made.progress.faults)
        interpreter.tune()
        exit_code = made.run()
    # What blocks in a thread past the grace period (a mail server that hangs) is left to rescue.
    os._exit(exit_code)
