"""``chronos admin``. This module is light, so that ``chronos --help`` loads no application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from chronos_api.transactions import Call

_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The data folder of a 'chronos up' here.  [default: CHRONOS_DATA_DIR or ~/.chronos]",
)


@click.group()
def admin() -> None:
    """Make operators, and help accounts, on the machine of the installation.

    The commands need CHRONOS_DATABASE_URL, or a 'chronos up' that runs on this machine.
    """


@admin.command()
@click.argument("email")
@click.option(
    "--password-file",
    type=click.File(),
    help="Read the password from the first line of this file, or of standard input if it is '-'.",
)
@_DATA_DIR
def create(email: str, *, password_file: TextIO | None, data_dir: Path | None) -> None:
    """Make an operator's account, also where registration is closed."""
    from chronos_api.accounts import admin as accounts  # noqa: PLC0415 - as the module says
    from chronos_api.accounts.schemas import Registration  # noqa: PLC0415 - as above
    from chronos_api.http import json_body  # noqa: PLC0415 - as above

    password = _password(password_file)
    account = json_body.load(Registration, {"email": email, "password": password})
    with _call(data_dir) as call:
        accounts.create_operator(call, **account)
    click.echo(f"{account['email']} is an operator now. Log in: POST /api/v1/auth/login")


@admin.command("reset-second-factor")
@click.argument("email")
@_DATA_DIR
def reset_second_factor(email: str, *, data_dir: Path | None) -> None:
    """Turn off the second factor of an account whose owner has lost every code."""
    from chronos_api.accounts import admin as accounts  # noqa: PLC0415 - as the module says

    with _call(data_dir) as call:
        had_one = accounts.reset_second_factor(call, accounts.find_account(call, email))
    click.echo(
        f"{email} logs in with the password alone now."
        if had_one
        else f"{email} has no second factor."
    )


def _password(file: TextIO | None) -> str:
    if file is not None:
        return file.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@contextmanager
def _call(data_dir: Path | None) -> "Iterator[Call]":
    """Connect to the database of the installation, in the name of nobody."""
    from chronos_api.transactions import Call  # noqa: PLC0415 - as the module says
    from chronos_common import clock, setting_types, settings  # noqa: PLC0415 - as above
    from chronos_common.embedded import data_folder  # noqa: PLC0415 - as above
    from chronos_common.storage.postgres import availability  # noqa: PLC0415 - as above
    from chronos_common.storage.postgres.database import connect  # noqa: PLC0415 - as above

    place = Path(data_dir or settings.given("DATA_DIR") or setting_types.home_folder({}))
    # Nothing is signed here, and Redis is not asked.
    stand_ins = {"SECRET_KEY": "-" * setting_types.MIN_SECRET_BYTES, "REDIS_URL": "redis://nobody"}
    settings.export_missing(data_folder.remembered(place.expanduser()) | stand_ins)
    engine = connect(settings.load().database_url, name="chronos-admin", pool_size=1)
    try:
        availability.require(engine)
        yield Call(engine=engine, caller=None, now=clock.now())
    finally:
        engine.dispose()
