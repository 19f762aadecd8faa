"""``chronos worker``."""

import os

import click

from chronos_common import interpreter, probe, startup
from chronos_worker.service import Worker


@click.command()
def worker() -> None:
    """Perform executions until stopped. Run as many of these as you like."""
    with startup.service() as loaded:
        startup.require_database(loaded)
        made = Worker(loaded)
        probe.serve(loaded, made.progress.faults)
        interpreter.tune()
        exit_code = made.run()
    # What blocks in a thread past the grace period (a mail server that hangs) is left to rescue.
    os._exit(exit_code)
