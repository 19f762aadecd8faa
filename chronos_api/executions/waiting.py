"""Wait for the end of a run by hand, and answer with it."""

import time
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Final

from flask import Response, jsonify, url_for
from sqlalchemy import RowMapping

from chronos_api.executions import service
from chronos_api.executions.schemas import ExecutionAnswer
from chronos_api.transactions import Call

#: Interval between looks at an execution that a request waits for.
_LOOK_SECONDS: Final = 0.1
#: Requests of one process that wait at once. Each occupies a thread.
MAX_WAITING: Final = 4

_waiting = BoundedSemaphore(MAX_WAITING)


def answer(call: Call, row: RowMapping, *, seconds: float) -> Response:
    """Return the answer about a new execution.

    The status is 200 if it ends within ``seconds``, and otherwise 202. While many requests of
    this process wait already, the answer comes at once.
    """
    row = _ended(call, row, seconds)
    response = jsonify(ExecutionAnswer.of(row))
    if row["finished_at"] is None:
        response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = url_for("executions.get_execution", execution_id=row["id"])
    return response


def _ended(call: Call, row: RowMapping, seconds: float) -> RowMapping:
    """Return the execution when it has ended, or as it stands after ``seconds``."""
    if seconds <= 0 or not _waiting.acquire(blocking=False):
        return row
    try:
        ends = time.monotonic() + seconds
        while row["finished_at"] is None and time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)
            row = service.read(call, row["id"])
        return row
    finally:
        _waiting.release()
