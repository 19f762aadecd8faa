"""Content codings (RFC 9110, section 8.4): decompress the body of an answer.

A job may ask for them by ``Accept-Encoding``, and some targets compress without being asked.
"""

import re
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

_MAX_CODINGS: Final = 3
_IDENTITY: Final = frozenset({"", "identity"})

_ZLIB: Final = zlib.MAX_WBITS
_GZIP: Final = zlib.MAX_WBITS | 16
_GZIP_MAGIC: Final = b"\x1f\x8b"
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
# A frame, or a skippable frame.
_ZSTD_MAGIC: Final = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
# Each frame takes as much time as some kilobytes of content.
_MAX_ZSTD_FRAMES: Final = 200
# Windows of at most 8 MiB (RFC 9659).
_ZSTD_OPTIONS: Final[Mapping[int, int]] = {DecompressionParameter.window_log_max: 23}


class Undecodable(Exception):
    """The body does not match its ``Content-Encoding``."""


def decode(body: bytes, declared: str, *, max_bytes: int) -> tuple[bytes, bool]:
    """Return at most ``max_bytes`` of the decoded body, and whether that is all of it.

    ``declared`` is the field ``Content-Encoding``. Raises :class:`Undecodable`.
    """
    codings = [name.strip().lower() for name in declared.split(",")]
    codings = [name for name in codings if name not in _IDENTITY]
    if len(codings) > _MAX_CODINGS:
        raise Undecodable(f"The body has more than {_MAX_CODINGS} content codings")
    is_whole = True
    # The last coding was applied last.
    for coding in reversed(codings):
        if coding not in _DECODERS:
            raise Undecodable("The body's Content-Encoding is unknown")
        try:
            body, is_end = _DECODERS[coding](body, max_bytes)
        except (zlib.error, brotli.error, ZstdError) as error:
            raise Undecodable(f"The body is not {coding}, as its Content-Encoding says") from error
        is_whole = is_whole and is_end
    return body, is_whole


def _gunzip(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return the content of a gzip file's members, and whether that is all."""
    decoded, is_end, rest = _inflate(body, max_bytes, _GZIP)
    while is_end and rest.startswith(_GZIP_MAGIC) and len(decoded) < max_bytes:
        more, is_end, rest = _inflate(rest, max_bytes - len(decoded), _GZIP)
        decoded += more
    return decoded, is_end and not rest.startswith(_GZIP_MAGIC)


def _deflate(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    try:
        return _inflate(body, max_bytes, _ZLIB)[:2]
    except zlib.error:
        # Some senders leave out the header of the zlib format.
        return _inflate(body, max_bytes, _RAW_DEFLATE)[:2]


def _inflate(body: bytes, max_bytes: int, window_bits: int) -> tuple[bytes, bool, bytes]:
    """Return at most ``max_bytes``, whether the stream ends there, and the bytes after it."""
    decompressor = zlib.decompressobj(window_bits)
    decoded = decompressor.decompress(body, max_bytes)
    return decoded, decompressor.eof, decompressor.unused_data


def _unbrotli(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    decompressor = brotli.Decompressor()
    decoded = decompressor.process(body, output_buffer_limit=max_bytes)
    # The buffer may exceed the limit: the limit only ends its growth.
    return decoded[:max_bytes], decompressor.is_finished() and len(decoded) <= max_bytes


def _unzstd(body: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return the content of a zstd file's frames (RFC 8878, section 3), and whether that is all.

    Frames without content may stand anywhere. Other bytes after the last frame are ignored.
    """
    decoded, is_end, rest = _unzstd_frame(body, max_bytes)
    for _ in range(_MAX_ZSTD_FRAMES):
        if not is_end or len(decoded) == max_bytes or not _ZSTD_MAGIC.match(rest):
            break
        more, is_end, rest = _unzstd_frame(rest, max_bytes - len(decoded))
        decoded += more
    return decoded, is_end and not _ZSTD_MAGIC.match(rest)


def _unzstd_frame(body: bytes, max_bytes: int) -> tuple[bytes, bool, bytes]:
    decompressor = ZstdDecompressor(options=_ZSTD_OPTIONS)
    decoded = decompressor.decompress(body, max_bytes)
    return decoded, decompressor.eof, decompressor.unused_data


_DECODERS: Final[dict[str, Callable[[bytes, int], tuple[bytes, bool]]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _deflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
