"""gzip, for clients that accept it and answers that are worth it."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request

from chronos_api.http import problems

#: Exports of the history.
CSV = "text/csv"
NDJSON = "application/x-ndjson"

_SMALLEST = 1024
_LEVEL = 5
_GZIP = 16 + zlib.MAX_WBITS

#: Live events are not among these: each has to leave at once.
_TYPES = frozenset(
    {
        "application/json",
        problems.MEDIA_TYPE,
        CSV,
        NDJSON,
        "text/html",
        "text/css",
        "text/javascript",
        "text/plain",
    }
)


def register(app: Flask) -> None:
    """Compress the answers of ``app``."""
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    if response.mimetype not in _TYPES or "Content-Encoding" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") == 0 or request.method == "HEAD":
        return response
    if response.is_streamed:
        response.response = _pieces(response.response)
    elif len(response.get_data()) >= _SMALLEST:
        response.set_data(gzip.compress(response.get_data(), _LEVEL, mtime=0))
    else:
        return response
    response.headers["Content-Encoding"] = "gzip"
    tag, is_weak = response.get_etag()
    if tag and not is_weak:
        # Another form of the same thing (RFC 9110, section 8.8.1).
        response.set_etag(tag, weak=True)
    return response


def _pieces(pieces: Any) -> Iterator[bytes]:
    """Yield each piece compressed, as soon as it is there."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    try:
        for piece in pieces:
            yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield compressor.flush()
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
