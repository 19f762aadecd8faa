"""``chronos keys`` and ``chronos members``: who may do what in the workspace.

No API key may make or read keys, or change members. These commands ask for the password.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientGroup, CommandFailed, Exit, say
from chronos_client.commands.output import Column, show_list
from chronos_client.commands.parameters import INSTANT
from chronos_client.models import SCOPES

if TYPE_CHECKING:
    from chronos_client.client import Chronos

_KEYS = (
    Column("NAME", lambda key: key.name, is_flexible=True),
    Column("PREFIX", lambda key: key.prefix),
    Column("LAST USED", lambda key: key.last_used_at),
    Column("EXPIRES", lambda key: key.expires_at),
    Column("SCOPES", lambda key: ", ".join(key.scopes), width=140, is_flexible=True),
    Column("ID", lambda key: key.id, width=110),
)
_MEMBERS = (
    Column("E-MAIL", lambda member: member.email, is_flexible=True),
    Column("ROLE", lambda member: member.role),
    Column("JOINED", lambda member: member.joined_at),
    Column("ID", lambda member: member.user_id, width=100),
)


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos keys list",
        "chronos keys create deploy --scope jobs:read --scope jobs:write",
    ],
)
def keys() -> None:
    """Make, list and revoke API keys. Your password is asked for."""


@keys.command("list", examples=["chronos keys list"])
def list_keys() -> None:
    """List the workspace's API keys, without their secrets."""
    if not show_list(_person().keys.list(), _KEYS, name=lambda key: key.id):
        say("There is no API key.")


@keys.command(
    "create", examples=["chronos keys create deploy --scope jobs:read --scope jobs:write"]
)
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True)
@click.option("--expires-at", type=INSTANT, help="When it ends.  [default: never]")
def create_key(*, name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    """Make an API key. It is written to standard output, this once."""
    made = _person().keys.create(name, scopes=scopes, expires_at=expires_at)
    say(f"Made the key {made.name!r}. It is not shown again:")
    click.echo(made.key)


@keys.command("revoke", examples=["chronos keys revoke deploy"])
@click.argument("key")
def revoke_key(*, key: str) -> None:
    """Revoke an API key, by its id, its prefix or its name. It is refused from now on."""
    person = _person()
    found = [each for each in person.keys.list() if key in (each.id, each.prefix, each.name)]
    if len(found) != 1:
        known = ", ".join(each.id for each in found)
        raise CommandFailed(
            f"Several keys have this name: {known}." if found else f"There is no key {key!r}.",
            Exit.USAGE if found else Exit.MISSING,
        )
    person.keys.revoke(found[0].id)
    say(f"Revoked {found[0].name!r}.")


@click.group(
    cls=ClientGroup,
    examples=["chronos members list", "chronos members role ada@example.com editor"],
)
def members() -> None:
    """List members, change their roles, and remove them."""


@members.command("list", examples=["chronos members list -o csv"])
def list_members() -> None:
    """List the members of the workspace."""
    show_list(session.connect().members.list(), _MEMBERS, name=lambda member: member.email)


@members.command("role", examples=["chronos members role ada@example.com editor"])
@click.argument("email")
@click.argument("role", type=click.Choice(["viewer", "editor", "owner"]))
def change_role(*, email: str, role: str) -> None:
    """Give a member another role. Your password is asked for."""
    person = _person()
    changed = person.members.change_role(_user_id(person, email), role)
    say(f"{changed.email} is {changed.role} now.")


@members.command("remove", examples=["chronos members remove ada@example.com"])
@click.argument("email")
def remove_member(*, email: str) -> None:
    """Remove a member. Their keys end, too. Your password is asked for."""
    person = _person()
    person.members.remove(_user_id(person, email))
    say(f"{email} is no member any more.")


def _person() -> "Chronos":
    used = session.profile()
    return session.log_in(used.url, used.email)


def _user_id(person: "Chronos", email: str) -> str:
    for member in person.members.list():
        if email.casefold() in (member.email.casefold(), member.user_id):
            return member.user_id
    raise CommandFailed(f"{email} is no member of this workspace.", Exit.MISSING)
