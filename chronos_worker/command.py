"""``chronos worker``. The service is imported late, so that ``chronos --help`` is quick."""

import click


@click.command()
def worker() -> None:
    """Execute jobs until stopped. Run as many of these as you like."""
    from chronos_worker import main  # noqa: PLC0415 - only this command loads the service

    main.run()
