"""The ``chronos`` command of the distribution ``chronos-client``.

Its commands are found by their entry points, so that a command is imported only when it is called.
The whole distribution ships a ``chronos`` of its own, with the commands of the server. If both are
installed, this one hands over to it.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

_COMMANDS = "chronos.commands"
_PROGRAMS = "chronos.programs"


class InstalledGroup(click.Group):
    """A group whose commands are found among the installed packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in order."""
        return sorted({*super().list_commands(ctx), *_registered()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name."""
        found = _registered().get(cmd_name)
        if found is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = found.load()
        return command


@click.group(cls=InstalledGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chronos-client", prog_name="chronos")
def chronos() -> None:
    """Work with a Chronos server: its jobs, their executions and their schedules.

    'chronos login URL' makes a profile for a server.
    """


def main() -> Any:
    """Run the command line: that of the whole distribution, if it is installed."""
    whole = [each for each in entry_points(group=_PROGRAMS) if each.name == "chronos"]
    return whole[0].load()() if whole else chronos()


def _registered() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=_COMMANDS)}
