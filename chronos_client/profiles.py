"""Profiles: which server, and with which key. They stand in a file that only its owner reads.

``CHRONOS_URL`` and ``CHRONOS_API_KEY`` come before the file. Address and key come from the same
place, so that no server gets the key of another one.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from chronos_client.errors import ProfileUnusable

URL_VARIABLE = "CHRONOS_URL"
KEY_VARIABLE = "CHRONOS_API_KEY"
PROFILE_VARIABLE = "CHRONOS_PROFILE"
FILE_VARIABLE = "CHRONOS_PROFILES_FILE"

#: Bits of a file's mode that let others read or write it.
_FOR_OTHERS = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProfile:
    """One server, and the key for it. ``made_by_up`` tells one that 'chronos up' wrote."""

    url: str
    key: str | None = field(default=None, repr=False)
    email: str | None = None
    made_by_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFile:
    """The content of the file: profiles by their names, and the one in use."""

    current: str | None = None
    profiles: Mapping[str, ServerProfile] = field(default_factory=dict)

    def with_profile(self, name: str, profile: ServerProfile, *, use: bool) -> "ProfileFile":
        """Return the content with a profile added or replaced."""
        current = name if use or self.current not in self.profiles else self.current
        return replace(self, current=current, profiles={**self.profiles, name: profile})

    def without(self, name: str) -> "ProfileFile":
        """Return the content without a profile. Raises :class:`ProfileUnusable`."""
        self.named(name)
        rest = {each: profile for each, profile in self.profiles.items() if each != name}
        return ProfileFile(current=self.current if self.current in rest else None, profiles=rest)

    def named(self, name: str) -> ServerProfile:
        """Return a profile by its name. Raises :class:`ProfileUnusable`."""
        if name not in self.profiles:
            known = ", ".join(self.profiles) or "none"
            raise ProfileUnusable(
                f"There is no profile {name!r}. There are: {known}. 'chronos login' makes one."
            )
        return self.profiles[name]


def location(environment: Mapping[str, str] = os.environ) -> Path:  # noqa: TID251 - a client's
    """Return where the file is, whether or not it is there."""
    given = environment.get(FILE_VARIABLE)
    if given:
        return Path(given)
    folder = environment.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "chronos" / "profiles.json"


def load(path: Path) -> ProfileFile:
    """Return the content of the file, or an empty one. Raises :class:`ProfileUnusable`."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _FOR_OTHERS:
                raise ProfileUnusable(
                    f"Others may read the keys in {path}. Run: chmod 600 '{path}'"
                )
            content = json.load(file)
        profiles = {name: ServerProfile(**each) for name, each in content["profiles"].items()}
        return ProfileFile(current=content.get("current"), profiles=profiles)
    except FileNotFoundError:
        return ProfileFile()
    except OSError as error:
        raise ProfileUnusable(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProfileUnusable(
            f"{path} is no file of profiles. Remove it, and log in again with 'chronos login'."
        ) from error


def save(path: Path, content: ProfileFile) -> None:
    """Write the file, whole or not at all. Raises :class:`ProfileUnusable`."""
    document = {
        "current": content.current,
        "profiles": {name: asdict(each) for name, each in content.profiles.items()},
    }
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A temporary file is its owner's only from its first byte.
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        Path(unfinished).replace(path)
    except OSError as error:
        raise ProfileUnusable(f"{path} cannot be written: {error.strerror}.") from error


def resolve(
    name: str | None,
    environment: Mapping[str, str] = os.environ,  # noqa: TID251 - settings of a client
) -> ServerProfile:
    """Return the server and the key to use. Raises :class:`ProfileUnusable`.

    1. The profile that the caller named.
    2. The server of ``CHRONOS_URL``, with the key of ``CHRONOS_API_KEY``.
    3. The profile of ``CHRONOS_PROFILE``, or the one in use.
    """
    url, key = environment.get(URL_VARIABLE), environment.get(KEY_VARIABLE)
    if name is None and url:
        return ServerProfile(url=url, key=key)
    if name is None and key:
        raise ProfileUnusable(f"{KEY_VARIABLE} is set. Set {URL_VARIABLE} to its server, too.")
    content = load(location(environment))
    chosen = name or environment.get(PROFILE_VARIABLE) or content.current
    if chosen is None:
        raise ProfileUnusable(
            "No server is known. Log in with 'chronos login URL', or set "
            f"{URL_VARIABLE} and {KEY_VARIABLE}. 'chronos up' on this machine makes a profile."
        )
    return content.named(chosen)
