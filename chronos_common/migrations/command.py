"""``chronos db``. It imports little, so that ``chronos --help`` loads no database driver."""

import click


def preload() -> None:
    """Import the command's modules, for processes that are forked to run it."""
    from chronos_common.migrations import schema  # noqa: F401, PLC0415 - as above
    from chronos_common.process import startup  # noqa: F401, PLC0415 - as the module says


@click.group()
def db() -> None:
    """Look after the database's schema."""


@db.command()
@click.option("--revision", default="head", show_default=True, help="The revision to reach.")
def upgrade(revision: str) -> None:
    """Upgrade the schema for this version of Chronos.

    This is safe at any time, beside a running cluster too. A schema that is newer stays as it is.
    A large database takes its time. An interrupted upgrade goes on when it is started again.
    """
    from chronos_common.migrations import schema  # noqa: PLC0415 - as above
    from chronos_common.process import startup  # noqa: PLC0415 - only this command loads these
    from chronos_common.storage.postgres.database import connect  # noqa: PLC0415 - as above

    loaded = startup.begin()
    engine = connect(loaded.database_url, name="chronos-db")
    reached = schema.upgrade(engine, revision, say=click.echo)
    engine.dispose()
    click.echo(f"The schema is at revision {reached}.")
