"""``chronos scheduler``; light, so that ``chronos --help`` loads no service."""

import click


@click.command()
def scheduler() -> None:
    """Plan and dispatch due jobs until stopped. Run as many of these as you like."""
    from chronos_scheduler import main  # noqa: PLC0415 - only who runs it loads the service

    main.run()
