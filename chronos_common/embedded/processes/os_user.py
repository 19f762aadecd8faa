"""The operating system's user that the embedded servers run as.

PostgreSQL refuses to run as root. Then, and only then, the servers run as the owner of their data
or as ``nobody``. Nothing outside the data folder changes for that, neither users nor rights.
"""

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chronos_common.errors import ChronosError

_PASS = 0o001
_READ_AND_PASS = 0o005


class NoOrdinaryUser(ChronosError):
    """PostgreSQL refuses to run as root, and the system has no user 'nobody'."""


@dataclass(frozen=True, slots=True)
class OSUser:
    """An unprivileged user and group, by number."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Make this user the owner of ``path``, which root just created."""
        os.chown(path, self.uid, self.gid)


def for_servers(data: Path) -> OSUser | None:
    """Return the user that shall serve ``data``. ``None`` means this process's own.

    Raises :class:`NoOrdinaryUser` as root on a system without the user ``nobody``, and for a user
    without a name, which PostgreSQL needs.
    """
    if os.geteuid() != 0:
        _check_name(os.geteuid())
        return None
    if data.exists() and data.stat().st_uid != 0:
        return OSUser(data.stat().st_uid, data.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise NoOrdinaryUser(
            f"{NoOrdinaryUser.__doc__} Run 'chronos up' as an ordinary user, "
            "or set CHRONOS_DATABASE_URL to a server of your own."
        ) from error
    return OSUser(nobody.pw_uid, nobody.pw_gid)


def _check_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise NoOrdinaryUser(
            f"PostgreSQL does not start for user {uid}, which has no entry in /etc/passwd. Add "
            f"one ('useradd --uid {uid} chronos'), or set CHRONOS_DATABASE_URL to a server of "
            "your own."
        ) from error


def is_closed(program: Path, folders: Iterable[Path]) -> bool:
    """Return whether ``program`` or a parent of ``folders`` is closed to an ordinary user.

    It is so below ``/root``, where both the data folder and the Python environment often are.
    """
    ways = [*program.parents, *(parent for folder in folders for parent in folder.parents)]
    return not (
        all(way.stat().st_mode & _PASS for way in ways)
        and program.stat().st_mode & _READ_AND_PASS == _READ_AND_PASS
    )
