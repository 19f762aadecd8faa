"""The ``chronos`` command. Its subcommands live in the packages that they start.

Each package registers its own under the entry-point group ``chronos.commands``. A command is
imported only when it is called, or to list them all.
"""

import sys
from importlib.metadata import EntryPoint, entry_points

import click

from chronos_common.domain.texts import visible
from chronos_common.errors import EXIT_CODE, ChronosError

_GROUP = "chronos.commands"
#: Some errors are lists of several lines.
_LINE_FEED = "\n"


class _InstalledCommands(click.Group):
    """A group whose commands are found among the installed packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *registered()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry_point = registered().get(cmd_name)
        if entry_point is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = entry_point.load()
        return command


@click.group(cls=_InstalledCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chronos-scheduler", prog_name="chronos")
def chronos() -> None:
    """Run HTTP calls, e-mails and Celery tasks on a schedule.

    'chronos up' starts everything on this machine.
    """


def main() -> None:
    """Run the command line. An error of ours becomes one sentence and exit code 2."""
    try:
        chronos()
    except ChronosError as error:
        _fail(error)
    except Exception as error:
        fault = _database_fault(error)
        if fault is None:
            raise
        _fail(fault)


def _database_fault(error: Exception) -> object:
    """Return the fault of the database, or None if the error is another one."""
    if "sqlalchemy" not in sys.modules:
        return None  # loading it would take long, and without it there was no error of its own
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - as the comment says

    from chronos_common.storage.postgres import availability  # noqa: PLC0415 - as above

    return availability.explain(error) if isinstance(error, DBAPIError) else None


def _fail(reason: object) -> None:
    click.echo(f"Error: {visible(str(reason), keep=_LINE_FEED)}", err=True)
    sys.exit(EXIT_CODE)


def registered() -> dict[str, EntryPoint]:
    """Return the subcommands by their names."""
    return {entry_point.name: entry_point for entry_point in entry_points(group=_GROUP)}


if __name__ == "__main__":
    main()
