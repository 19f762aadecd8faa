"""``chronos api``."""

import click

from chronos_api import server
from chronos_common import startup


@click.command()
def api() -> None:
    """Serve the REST API until stopped. Run as many of these as you like."""
    with startup.service() as loaded:
        startup.look_at_database(loaded)
        server.run(loaded)
