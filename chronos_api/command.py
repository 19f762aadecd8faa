"""``chronos api``. This module is light, so that ``chronos --help`` loads no application."""

import click


def preload() -> None:
    """Import the command's modules, for processes that are forked to run it."""
    from chronos_api.server import server  # noqa: F401, PLC0415 - as the module says
    from chronos_common.process import startup  # noqa: F401, PLC0415 - as above


@click.command()
def api() -> None:
    """Serve the REST API until stopped. Run as many of these as you like."""
    from chronos_api.server import server  # noqa: PLC0415 - only the server loads the application
    from chronos_common.process import startup  # noqa: PLC0415 - as above

    with startup.service() as loaded:
        startup.warn_without_database(loaded)
        startup.warn_without_redis(loaded)
        server.run(loaded)
