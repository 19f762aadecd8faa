"""``chronos db``."""

import click

from chronos_common import startup
from chronos_common.migrations import schema
from chronos_common.storage.database import connect


@click.group()
def db() -> None:
    """Look after the database's schema."""


@db.command()
@click.option("--revision", default="head", show_default=True, help="The revision to go to.")
def upgrade(revision: str) -> None:
    """Bring the schema to the version that this Chronos expects; safe to run at any time."""
    loaded = startup.begin()
    engine = connect(loaded.database_url, name="chronos-db")
    schema.upgrade(engine, revision)
    engine.dispose()
    click.echo(f"The schema is at revision {revision}.")
