"""``chronos scheduler``."""

import signal
from threading import Event

import click

from chronos_common import logs, metrics, settings
from chronos_scheduler.service import Scheduler


@click.command()
def scheduler() -> None:
    """Plan and dispatch due jobs until stopped. Run as many of these as you like."""
    loaded = settings.load()
    logs.configure(loaded)
    stop = Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    metrics.serve(loaded)
    Scheduler(loaded).run(stop)
