"""``chronos worker``."""

import click

from chronos_common import logs, metrics, settings
from chronos_worker.service import Worker


@click.command()
def worker() -> None:
    """Perform executions until stopped. Run as many of these as you like."""
    loaded = settings.load()
    logs.configure(loaded)
    metrics.serve(loaded)
    Worker(loaded).run()
