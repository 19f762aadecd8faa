"""``chronos scheduler``."""

import signal

import click

from chronos_common import interpreter, probe, startup
from chronos_scheduler.service import Scheduler

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


@click.command()
def scheduler() -> None:
    """Plan and dispatch due jobs until stopped. Run as many of these as you like."""
    with startup.service() as loaded:
        # Blocked before any thread starts, so that they wait for this one to ask for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        startup.require_database(loaded)
        made = Scheduler(loaded)
        probe.serve(loaded, made.progress.faults)
        interpreter.tune()
        made.run(wait=lambda: signal.sigwait(STOP_SIGNALS))
