"""``chronos api``."""

import click

from chronos_api import server
from chronos_common import logs, settings


@click.command()
def api() -> None:
    """Serve the REST API until stopped. Run as many of these as you like."""
    loaded = settings.load()
    logs.configure(loaded)
    server.run(loaded)
