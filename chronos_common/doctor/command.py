"""``chronos doctor``. It imports little, so that ``chronos --help`` loads no database driver."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The data folder of a 'chronos up' here.  [default: CHRONOS_DATA_DIR or ~/.chronos]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(*, data_dir: Path | None, as_json: bool) -> None:
    """Examine this installation, and name a remedy for each problem.

    Examines the servers that CHRONOS_DATABASE_URL and CHRONOS_REDIS_URL name. Without them, it
    examines the 'chronos up' of this machine.

    Exits with 0 if all is well, 1 if there are warnings, 2 if there are problems.
    """
    from chronos_common.doctor import examination  # noqa: PLC0415 - only this command loads it

    examination.run(data_dir, as_json=as_json)
