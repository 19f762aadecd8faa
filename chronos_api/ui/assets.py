"""The style sheet and the scripts of the pages: read and compressed once, and kept by browsers.

The address of an asset holds a digest of its content, so that a browser may keep it for ever.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from flask import Blueprint, Response, request, url_for
from werkzeug.exceptions import NotFound

from chronos_api.security.access import public
from chronos_api.security.rate_limits import Rate

TYPES = {"css": "text/css", "js": "text/javascript"}

#: A year, which means for ever (RFC 9111 has no other word for it).
_SECONDS_TO_KEEP = 365 * 24 * 3600
_DIGEST_LENGTH = 12

#: A worker obeys the policy of its own script. It loads modules, and opens the event stream.
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"

blueprint = Blueprint("ui_assets", __name__, url_prefix="/ui/assets")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that browsers load, as it is and compressed."""

    content: bytes
    compressed: bytes
    mimetype: str


@cache
def all_assets() -> dict[str, Asset]:
    """Return the assets by their names."""
    found = {}
    for path in files("chronos_api.ui").joinpath("assets").iterdir():
        mimetype = TYPES.get(path.name.rpartition(".")[2])
        if mimetype:
            content = path.read_bytes()
            found[path.name] = Asset(content, gzip.compress(content, 9, mtime=0), mimetype)
    return found


@cache
def version() -> str:
    """Return the digest of all assets. Modules import each other, so they change together."""
    digest = hashlib.sha256()
    for name, asset in sorted(all_assets().items()):
        digest.update(name.encode() + b"\0" + asset.content)
    return digest.hexdigest()[:_DIGEST_LENGTH]


def address(name: str) -> str:
    """Return the address of an asset."""
    return url_for("ui_assets.serve", digest=version(), name=name)


@blueprint.get("/<digest>/<name>")
@public(Rate.NONE)
def serve(digest: str, name: str) -> Response:
    """Return an asset."""
    asset = all_assets().get(name)
    if asset is None or digest != version():
        raise NotFound
    accepts_gzip = request.accept_encodings["gzip"] > 0
    response = Response(asset.compressed if accepts_gzip else asset.content)
    response.mimetype = asset.mimetype
    if accepts_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={_SECONDS_TO_KEEP}, immutable"
    return response
