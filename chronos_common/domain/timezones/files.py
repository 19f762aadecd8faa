"""The time zone database: the files of the package ``tzdata``, and no others.

Python's ``zoneinfo`` reads the system's folder first, which differs from host to host. A job must
mean the same on each of them.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from io import BytesIO
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import tzdata

#: The release of the IANA database, like "2026f".
VERSION: str = tzdata.IANA_VERSION

#: Names that the database has, but that mean something else on every machine, or nothing.
_MEANINGLESS = frozenset({"localtime", "posixrules", "Factory"})

_LENGTH = struct.Struct(">I")


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Return the names of all zones, aliases included."""
    listed = resources.files(tzdata).joinpath("zones").read_text("utf-8").split()
    return frozenset(listed) - _MEANINGLESS


def content(name: str) -> bytes:
    """Return the file (RFC 9636) of the zone ``name``, one of :func:`names`."""
    return resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).read_bytes()


def load(content: bytes, name: str) -> ZoneInfo:
    """Return the zone that a file describes. Raises :class:`ValueError` if it describes none."""
    return ZoneInfo.from_file(BytesIO(content), key=name)


def mark_of(content: bytes) -> int:
    """Return a number of 64 bits that stands for the rules in a file."""
    return int.from_bytes(sha256(content).digest()[:8], "big", signed=True)


@lru_cache(maxsize=1024)
def mark(name: str) -> int:
    """Return the mark of the rules that the zone ``name``, one of :func:`names`, has today."""
    return mark_of(content(name))


def marks() -> Mapping[str, int]:
    """Return the mark of every zone."""
    return {name: mark(name) for name in sorted(names())}


def digest() -> str:
    """Return a text that differs if any zone of the database does."""
    return sha256(repr(marks()).encode()).hexdigest()


def archive() -> bytes:
    """Return all different files of the database, packed."""
    return packed(sorted({content(name) for name in names()}))


def packed(files: Iterable[bytes]) -> bytes:
    """Return files in one, which :func:`unpacked` takes apart."""
    return zlib.compress(b"".join(_LENGTH.pack(len(each)) + each for each in files))


def unpacked(archive: bytes) -> dict[int, bytes]:
    """Return the files in an archive by their marks."""
    stream, files = BytesIO(zlib.decompress(archive)), {}
    while header := stream.read(_LENGTH.size):
        file = stream.read(_LENGTH.unpack(header)[0])
        files[mark_of(file)] = file
    return files


def of_system(name: str) -> bytes | None:
    """Return the file that ``zoneinfo`` finds on this host, if there is one.

    Releases before the marks computed with it.
    """
    for folder in TZPATH:
        path = Path(folder, name)
        if path.is_file():
            return path.read_bytes()
    return None
