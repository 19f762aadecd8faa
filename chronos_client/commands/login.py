"""``chronos login`` and ``chronos profiles``: which servers are known, and with which keys."""

import platform
import re
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

from chronos_client import profiles
from chronos_client.commands import session
from chronos_client.commands.command import (
    ClientGroup,
    CommandFailed,
    ExampleCommand,
    Exit,
    say,
    workspace_option,
)
from chronos_client.commands.output import Column, show_list
from chronos_client.errors import ObjectMissing, ProfileUnusable
from chronos_client.models import SCOPES
from chronos_client.profiles import ServerProfile

_LOCAL_URL = "http://127.0.0.1:8080"
#: The scopes of a key that changes nothing.
_READING = tuple(each for each in SCOPES if each.endswith(":read"))


@click.command(
    "login",
    # It makes a profile and prints no data, so it takes no --profile and no --output.
    cls=ExampleCommand,
    params=[workspace_option()],
    examples=[
        "chronos login https://chronos.example.com",
        "chronos login https://chronos.example.com --name production --read-only",
        "chronos login https://chronos.example.com --email ada@example.com",
        "chronos login https://chronos.example.com --with-key < key.txt",
    ],
)
@click.argument("url", default=_LOCAL_URL)
@click.option("--name", help="Name of the profile.  [default: the server's host]")
@click.option("--web", is_flag=True, help="Log in through the dashboard, in any browser.")
@click.option("--email", help="Log in with the password of this account.")
@click.option("--with-key", is_flag=True, help="Keep an API key that you have.")
@click.option("--read-only", is_flag=True, help="Make a key that changes nothing.")
def login(
    *, url: str, name: str | None, web: bool, email: str | None, with_key: bool, read_only: bool
) -> None:
    """Make a profile for a server, and use it from now on.

    You log in through the dashboard, in a browser of any machine. With --email, or without a
    terminal, you log in with your password. Chronos then makes an API key for this machine, and
    keeps it in a file that only you can read. The password is not kept. Passwords and keys are
    asked for, or read from standard input. They are no arguments, which other users could see.
    """
    if sum((web, with_key, email is not None)) > 1:
        raise click.UsageError("--web, --email and --with-key exclude each other.")
    if with_key and read_only:
        raise click.UsageError("--read-only is about a new key. With --with-key, leave it out.")
    path = profiles.location()
    content = profiles.load(path)
    scopes = _READING if read_only else SCOPES
    if with_key:
        made = _by_key(url)
    elif web or (email is None and sys.stdin.isatty()):
        made = _by_browser(url, scopes)
    else:
        made = _by_password(url, email, scopes)
    called = name or _name_for(url)
    profiles.save(path, content.with_profile(called, made, use=True))
    say(f"Logged in to {url}. It is the profile {called!r} in {path}.")


def _by_key(url: str) -> ServerProfile:
    key = _read_key()
    session.open_client(url, key).jobs.page(1)
    return ServerProfile(url=url, key=key)


def _by_password(url: str, email: str | None, scopes: Sequence[str]) -> ServerProfile:
    person = session.log_in(url, email)
    key = person.keys.create(_title(), scopes=scopes).key
    return ServerProfile(url=url, key=key, email=person.me()["user"]["email"])


def _by_browser(url: str, scopes: Sequence[str]) -> ServerProfile:
    client = session.open_client(url, None)
    try:
        codes = client.device_logins.request(_title(), scopes=scopes)
    except ObjectMissing as error:
        raise CommandFailed(
            f"{url} has no login through the dashboard. Log in with --email or --with-key.",
            Exit.MISSING,
        ) from error
    say(f"Open {codes.verification_uri} and type the code {codes.user_code}")
    page = codes.verification_uri_complete
    # An address of another scheme may start another program than a browser.
    if urlsplit(page).scheme in ("http", "https") and webbrowser.open(page):
        say("A browser was opened, with the code. Compare it, and approve.")
    say(f"Waiting for up to {codes.expires_in // 60} minutes …")
    key = client.device_logins.wait(codes)
    return ServerProfile(url=url, key=key.key, email=key.created_by)


def _title() -> str:
    """Return the name of the API key of this machine."""
    return f"chronos on {platform.node() or 'a machine'}"[:100]


@click.group(
    "profiles",
    cls=ClientGroup,
    invoke_without_command=True,
    examples=["chronos profiles", "chronos profiles use production"],
)
@click.pass_context
def profile_commands(ctx: click.Context) -> None:
    """Show the known servers, choose the one in use, and forget one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_profiles)


@profile_commands.command("list", examples=["chronos profiles list -o json"])
def list_profiles() -> None:
    """Show the profiles. The one in use has a star."""
    content = profiles.load(profiles.location())
    rows = [
        _Row(name, each, is_current=name == content.current)
        for name, each in sorted(content.profiles.items())
    ]
    columns = (
        Column("", lambda row: "*" if row.is_current else " "),
        Column("NAME", lambda row: row.name),
        Column("SERVER", lambda row: row.profile.url),
        Column("ACCOUNT", lambda row: row.profile.email),
    )
    if not show_list(rows, columns, name=lambda row: row.name):
        say("There is no profile. 'chronos login URL' makes one.")


@profile_commands.command("use", examples=["chronos profiles use production"])
@click.argument("name")
def use_profile(*, name: str) -> None:
    """Use a profile from now on."""
    path = profiles.location()
    content = profiles.load(path)
    found = content.named(name)
    profiles.save(path, content.with_profile(name, found, use=True))
    say(f"From now on {name!r} is used, {found.url}.")


@profile_commands.command("remove", examples=["chronos profiles remove old"])
@click.argument("name")
def remove_profile(*, name: str) -> None:
    """Forget a profile. Its key stays valid until it is revoked ('chronos keys revoke')."""
    path = profiles.location()
    profiles.save(path, profiles.load(path).without(name))
    say(f"{name!r} is forgotten. Its key stays valid until you revoke it: chronos keys revoke.")


@dataclass(frozen=True, slots=True)
class _Row:
    """A profile as it is shown: without its key."""

    name: str
    profile: ServerProfile
    is_current: bool

    @property
    def document(self) -> dict[str, Any]:
        """The row for programs."""
        return {
            "name": self.name,
            "url": self.profile.url,
            "email": self.profile.email,
            "current": self.is_current,
        }


def _read_key() -> str:
    if sys.stdin.isatty():
        key = str(click.prompt("API key", hide_input=True, err=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise ProfileUnusable("This is no API key. It begins with 'chr_'.")
    return key


def _name_for(url: str) -> str:
    host = urlsplit(url).hostname or "server"
    return re.sub(r"[^\w.-]", "-", host)
