"""The history as a file: streamed in pages, each read by a statement of its own.

So an export of any length takes little memory, holds no snapshot of the database, and is not
disturbed by new executions. Each export occupies a thread, so their number is bounded.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import BoundedSemaphore
from typing import Any

from flask import Response, request

from chronos_api import leases
from chronos_api.executions.schemas import ExecutionAnswer
from chronos_api.http.compression import CSV, NDJSON
from chronos_api.transactions import Call, reading
from chronos_common.errors import Unavailable
from chronos_common.quotas import EXPORTS, USER_EXPORTS
from chronos_common.storage.executions import history
from chronos_common.storage.executions.filters import HistoryFilter

#: Of one process.
MAX_AT_ONCE = 4

PAGE_SIZE = 500

_COLUMNS = tuple(ExecutionAnswer().fields)

#: A spreadsheet would take a text that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_permits = BoundedSemaphore(MAX_AT_ONCE)


class TooManyExports(Unavailable):
    """Enough exports are under way. Try again when one has ended."""


def wanted() -> str | None:
    """Return the media type of the export that is asked for, or None for a page of JSON."""
    best = request.accept_mimetypes.best_match(["application/json", CSV, NDJSON])
    return best if best in {CSV, NDJSON} else None


def stream(call: Call, filters: HistoryFilter, media_type: str) -> Response:
    """Answer with every execution that ``filters`` select, the latest first.

    Raises :class:`QuotaExceeded` and :class:`TooManyExports`.
    """
    permit = ExportPermit(call)
    write = _WRITERS[media_type]
    response = Response(
        write(_pages(call, filters, permit)), content_type=_CONTENT_TYPES[media_type]
    )
    # Also if the client has read nothing.
    response.call_on_close(permit.release)
    extension = "csv" if media_type == CSV else "ndjson"
    response.headers["Content-Disposition"] = f"attachment; filename=executions.{extension}"
    return response


def _pages(
    call: Call, filters: HistoryFilter, permit: "ExportPermit"
) -> Iterator[Sequence[Mapping[str, Any]]]:
    try:
        while True:
            with reading(call) as session:
                found = history.page(
                    session.connection, session.workspace_id, filters, limit=PAGE_SIZE
                )
            permit.renew()
            yield [ExecutionAnswer.of(row) for row in found.rows]
            if found.last is None:
                return
            filters = replace(filters, before=found.last)
    finally:
        permit.release()


class ExportPermit:
    """The permit of one export, in this process, for the workspace and for the user.

    Raises :class:`QuotaExceeded`, or :class:`TooManyExports` if this process has none left.
    """

    def __init__(self, call: Call) -> None:
        self._lease = leases.take(call, EXPORTS, USER_EXPORTS)
        self._is_taken = _permits.acquire(blocking=False)
        if not self._is_taken:
            self._lease.release()
            raise TooManyExports

    def renew(self) -> None:
        """Keep the permit of an export that goes on."""
        self._lease.renew()

    def release(self) -> None:
        """Let another export begin. A second call does nothing."""
        if self._is_taken:
            self._is_taken = False
            _permits.release()
            self._lease.release()


def _as_csv(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    """Yield CSV (RFC 4180) with a line of names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for page in pages:
        writer.writerows([_cell(each[name]) for name in _COLUMNS] for each in page)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if is_formula else value


def _as_ndjson(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    for page in pages:
        yield lines(page)


def lines(page: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a page as NDJSON."""
    return "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in page).encode()


_WRITERS: Mapping[str, Callable[[Iterator[Sequence[Mapping[str, Any]]]], Iterator[bytes]]] = {
    CSV: _as_csv,
    NDJSON: _as_ndjson,
}
_CONTENT_TYPES = {CSV: "text/csv; charset=utf-8; header=present", NDJSON: NDJSON}
