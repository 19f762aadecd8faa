"""``chronos up``. It imports little, so that ``chronos --help`` loads no servers."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where everything is kept.  [default: CHRONOS_DATA_DIR or ~/.chronos]",
)
@click.option("--host", help="Address the API listens on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port the API listens on.  [default: 8080]"
)
@click.option("--demo", "with_demo", is_flag=True, help="Load sample jobs and watch them run.")
@click.option(
    "--workers", type=click.IntRange(1, 32), default=1, show_default=True, help="Worker processes."
)
@click.option(
    "--schedulers",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Scheduler processes.",
)
@click.option("--verbose", is_flag=True, help="Show every log line, not only warnings.")
def up(
    *,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    with_demo: bool,
    workers: int,
    schedulers: int,
    verbose: bool,
) -> None:
    """Run all of Chronos on this machine until Ctrl-C.

    PostgreSQL and Valkey are included, and keep their data in the data folder.
    CHRONOS_DATABASE_URL and CHRONOS_REDIS_URL replace them with servers of your own.
    """
    from chronos_common.embedded import machine  # noqa: PLC0415 - only this command loads it

    machine.run(
        {"DATA_DIR": data_dir, "API_HOST": host, "API_PORT": port},
        with_demo=with_demo,
        workers=workers,
        schedulers=schedulers,
        verbose=verbose,
    )
