"""``chronos api``; light, so that ``chronos --help`` loads no application."""

import click


@click.command()
def api() -> None:
    """Serve the REST API until stopped. Run as many of these as you like."""
    from chronos_api import server  # noqa: PLC0415 - only who serves loads the application
    from chronos_common.process import startup  # noqa: PLC0415 - as above

    with startup.service() as loaded:
        startup.look_at_database(loaded)
        server.run(loaded)
