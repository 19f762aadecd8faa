"""Conditional requests on jobs (RFC 9110, section 13).

A job's ETag is its version, and the millisecond of its next run, which moves without a new one.
For ``If-Match`` only the version counts: a job that fires every second could not be changed
otherwise.
"""

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from chronos_api.jobs.lifecycle import Versions
from chronos_common import ids


def of_job(job: Mapping[str, Any]) -> str:
    """Return the tag of a job's snapshot, without its quotes."""
    next_run = job["next_run_at"]
    return f"{job['version']}.{ids.milliseconds(next_run):x}" if next_run else f"{job['version']}"


def expected() -> Versions:
    """Return the versions that ``If-Match`` names, or None if it is missing or ``*``."""
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
