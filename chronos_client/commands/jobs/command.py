"""``chronos jobs``: the group of all commands about jobs."""

import click

from chronos_client.commands.command import ClientGroup
from chronos_client.commands.jobs.changes import (
    clone_job,
    create_job,
    delete_jobs,
    edit_job,
    pause_jobs,
    resume_jobs,
    tag_jobs,
)
from chronos_client.commands.jobs.runs import run_job
from chronos_client.commands.jobs.views import get_job, history, list_jobs, next_runs, why


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos jobs list --status active --tag mail",
        "chronos jobs get 'Nightly report'",
        "chronos jobs run 'Nightly report' --wait",
        "chronos jobs why 'Nightly report' 2026-11-30T02:30",
    ],
)
def jobs() -> None:
    """Find, read, change and run jobs.

    A JOB is an id, a name, or the beginning of one job's name.
    """


for _command in (
    list_jobs,
    get_job,
    create_job,
    edit_job,
    clone_job,
    delete_jobs,
    pause_jobs,
    resume_jobs,
    tag_jobs,
    run_job,
    next_runs,
    why,
    history,
):
    jobs.add_command(_command)
