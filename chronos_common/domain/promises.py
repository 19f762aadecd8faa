"""The promise of the status ``succeeded``, for each type of job: no more than Chronos knows."""

from typing import Final

from chronos_common.domain.jobs import JobType
from chronos_common.domain.queues import QUEUE_OF

PROMISES: Final = {
    JobType.WEBHOOK: "the target answered with a status that counts as success",
    JobType.EMAIL: (
        "the mail server has taken the e-mail for every recipient; Chronos does not see whether "
        "it is delivered"
    ),
    JobType.CELERY_TASK: (
        "the broker has the task; Chronos does not see whether a worker performs it, nor how "
        "that ends"
    ),
}

#: The promises by the queue of an execution, for those whose work goes on elsewhere.
HANDED_ON: Final = {
    QUEUE_OF[each]: PROMISES[each] for each in (JobType.EMAIL, JobType.CELERY_TASK)
}
