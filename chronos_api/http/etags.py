"""Conditional requests on jobs (RFC 9110, section 13).

A job's ETag is its version, and the millisecond of its next run, which moves without a new one.
For ``If-Match`` only the version counts: a job that fires every second could not be changed
otherwise.
"""

from datetime import datetime

from flask import Response, request
from sqlalchemy import RowMapping

from chronos_api import answers
from chronos_api.jobs.service import Versions
from chronos_common import ids


def of_job(row: RowMapping, *, now: datetime) -> str:
    """Return the tag of a job as it stands, without its quotes."""
    next_run = answers.next_instant(row, now=now)
    return f"{row['version']}.{ids.milliseconds(next_run):x}" if next_run else f"{row['version']}"


def expected() -> Versions:
    """Return the versions that ``If-Match`` names; None if the request has none, or ``*``."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    # Of an empty tag Werkzeug makes None.
    tags = filter(None, request.if_match.as_set(include_weak=True))
    versions = {tag.partition(".")[0] for tag in tags}
    return frozenset(int(each) for each in versions if each.isascii() and each.isdigit())


def unless_known(response: Response) -> Response:
    """Return the answer, or 304 if ``If-None-Match`` names its tag."""
    tag, _ = response.get_etag()
    if tag is None or not request.if_none_match.contains_weak(tag):
        return response
    known = Response(status=304)
    known.set_etag(tag)
    return known
