"""The client that a command uses: its profile, and the server behind it."""

from typing import TYPE_CHECKING

import click

from chronos_client import profiles
from chronos_client.commands.command import PROFILE, WORKSPACE

if TYPE_CHECKING:
    from chronos_client.client import Chronos


def profile() -> profiles.ServerProfile:
    """Return the profile of this run. Raises :class:`ProfileUnusable`."""
    return profiles.resolve(click.get_current_context().meta.get(PROFILE))


def connect(found: profiles.ServerProfile | None = None) -> "Chronos":
    """Return a client for the profile of this run, closed when the command ends."""
    from chronos_client.client import Chronos  # noqa: PLC0415 - requests takes long to load

    ctx = click.get_current_context()
    used = found or profile()
    client = Chronos(used.url, used.key, workspace=ctx.meta.get(WORKSPACE))
    ctx.call_on_close(client.close)
    return client
