"""What clients of other schedulers read beside a job: its latest executions, its end."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine, RowMapping

from chronos_api.jobs import service as services
from chronos_api.jobs.service import Standing
from chronos_api.security.access import Principal
from chronos_common.errors import JobNotFound
from chronos_common.storage import recent
from chronos_common.storage.executions import history
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction


def latest_of(
    engine: Engine, who: Principal, job_ids: Sequence[UUID], *, each: int
) -> dict[UUID, list[RowMapping]]:
    """Return up to ``each`` executions of every job, the latest first."""
    with transaction(engine) as connection:
        return recent.latest_of_each(connection, who.workspace_id, job_ids, each=each)


def standing(engine: Engine, who: Principal, job_id: UUID) -> Standing:
    """Return where a job stands, or stood when it was deleted. Raises :class:`JobNotFound`."""
    try:
        return services.standing(engine, who, job_id)
    except JobNotFound:
        with transaction(engine) as connection:
            deleted = jobs.find_deleted(connection, who.workspace_id, job_id)
            if deleted is None:
                raise
            return Standing(
                job=deleted,
                unfinished=history.count_unfinished_of(connection, job_id),
                latest=history.latest_of(connection, who.workspace_id, job_id),
            )
