"""The client that a command uses: its profile, and the server behind it."""

import sys
from typing import TYPE_CHECKING

import click

from chronos_client import profiles
from chronos_client.commands.command import PROFILE, WORKSPACE

if TYPE_CHECKING:
    from chronos_client.client import Chronos

_CLIENT = "chronos.client"


def profile() -> profiles.ServerProfile:
    """Return the profile of this run. Raises :class:`ProfileUnusable`."""
    return profiles.resolve(click.get_current_context().meta.get(PROFILE))


def connect() -> "Chronos":
    """Return the client for the profile of this run. It is closed when the command ends."""
    meta = click.get_current_context().meta
    if _CLIENT not in meta:
        used = profile()
        meta[_CLIENT] = open_client(used.url, used.key)
    client: Chronos = meta[_CLIENT]
    return client


def open_client(url: str, key: str | None) -> "Chronos":
    """Return a client of a server. It is closed when the command ends."""
    from chronos_client.client import Chronos  # noqa: PLC0415 - requests takes long to load

    ctx = click.get_current_context()
    client = Chronos(url, key, workspace=ctx.meta.get(WORKSPACE))
    ctx.call_on_close(client.close)
    return client


def log_in(url: str, email: str | None) -> "Chronos":
    """Return a client that acts as a person until the command ends: with an access token.

    The password is asked for, or read from standard input if that is no terminal. It is never an
    argument, which other users of the machine could see.
    """
    address = email or click.prompt("E-mail", err=True)
    if sys.stdin.isatty():
        password = click.prompt(f"Password of {address}", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    credentials = {"email": address, "password": password}
    anonymous = open_client(url, None)
    person = open_client(url, anonymous.send("POST", "/auth/login", credentials)["access_token"])
    click.get_current_context().call_on_close(lambda: person.send("POST", "/auth/logout"))
    return person
