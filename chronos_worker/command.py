"""``chronos worker``; light, so that ``chronos --help`` loads no service."""

import click


@click.command()
def worker() -> None:
    """Perform executions until stopped. Run as many of these as you like."""
    from chronos_worker import main  # noqa: PLC0415 - only who runs it loads the service

    main.run()
