"""ETags, and requests that depend on one (RFC 9110, section 13).

The ETag of a job is its version, and the millisecond of its next run, which moves without a new
one. For ``If-Match`` only the version counts: a job that fires every second could not be changed
otherwise. The ETag of a list is a hash of its items.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from flask import Response, jsonify, request

from chronos_common import ids

#: Bytes of a tag. Two answers of one address with the same tag are as good as impossible.
_TAG_BYTES: Final = 12

#: The ETag of a list, for the documentation.
WEAK_ETAG: Final[Mapping[str, Any]] = {
    "ETag": {"description": "Of the items and the total", "schema": {"type": "string"}}
}

#: The header that asks for nothing if nothing is new, for the documentation.
IF_NONE_MATCH: Final[Mapping[str, Any]] = {
    "in": "header",
    "name": "If-None-Match",
    "description": "The ETag of an earlier answer. 304 if nothing has changed since",
    "schema": {"type": "string"},
}


def of_version(version: int, next_run_at: datetime | None) -> str:
    """Return the tag of a job with this version and next run, without its quotes."""
    return f"{version}.{ids.milliseconds(next_run_at):x}" if next_run_at else f"{version}"


def expected_versions() -> frozenset[int] | None:
    """Return the versions that ``If-Match`` names, or None if it is missing or ``*``."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    # Of an empty tag Werkzeug makes None.
    tags = filter(None, request.if_match.as_set(include_weak=True))
    versions = {tag.partition(".")[0] for tag in tags}
    return frozenset(int(each) for each in versions if each.isascii() and each.isdigit())


def of_list(answer: Mapping[str, Any]) -> Response:
    """Return the answer about a page of a list with its ETag, or 304 if the client has it.

    The tag is weak: ``as_of`` is the time of the request, and does not count.
    """
    content = {name: value for name, value in answer.items() if name != "as_of"}
    digest = blake2b(json.dumps(content).encode(), digest_size=_TAG_BYTES).hexdigest()
    response = jsonify(answer)
    response.set_etag(digest, weak=True)
    return unless_known(response)


def unless_known(response: Response) -> Response:
    """Return the answer, or 304 if ``If-None-Match`` names its tag."""
    tag, is_weak = response.get_etag()
    if tag is None or not request.if_none_match.contains_weak(tag):
        return response
    known = Response(status=304)
    known.set_etag(tag, weak=bool(is_weak))
    return known
