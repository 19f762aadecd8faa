"""``chronos scheduler``. It imports little, so that ``chronos --help`` loads no service."""

import click


def preload() -> None:
    """Import the command's modules, for processes that are forked to run it."""
    from chronos_scheduler import main  # noqa: F401, PLC0415 - as the module says


@click.command()
def scheduler() -> None:
    """Plan and dispatch due jobs until stopped. Run as many of these as you like."""
    from chronos_scheduler import main  # noqa: PLC0415 - only this command loads the service

    main.run()
