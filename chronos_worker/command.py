"""``chronos worker``. The service is imported late, so that ``chronos --help`` is quick."""

import click


def preload() -> None:
    """Import the command's modules, for processes that are forked to run it."""
    from chronos_worker import main  # noqa: F401, PLC0415 - as the module says


@click.command()
def worker() -> None:
    """Execute jobs until stopped. Run as many of these as you like."""
    from chronos_worker import main  # noqa: PLC0415 - only this command loads the service

    main.run()
