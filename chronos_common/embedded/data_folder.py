"""The data folder of ``chronos up``: whether files can be written there, and its secrets."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from chronos_common.errors import ChronosError

_SECRET_BYTES = 48


class FolderUnusable(ChronosError):
    """The data folder cannot be written."""


def prepare(folder: Path) -> None:
    """Create ``folder`` if it is missing, and make sure that files can be written there.

    Its files and folders are private one by one. As root the folder itself lets others pass,
    because PostgreSQL then runs as an ordinary user. Raises :class:`FolderUnusable`.
    """
    try:
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
    except OSError as error:
        cause = "It is a file" if folder.is_file() else error.strerror
        raise FolderUnusable(
            f"The data folder {folder} cannot be written: {cause}. "
            "Choose another one with --data-dir."
        ) from error


def secret_key(folder: Path) -> str:
    """Return the key that signs tokens, made at the first start."""
    path = folder / "secret_key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(_SECRET_BYTES))
    return path.read_text().strip()


def remember(folder: Path, values: Mapping[str, str]) -> None:
    """Keep the settings by which other commands on this machine reach the servers and the API."""
    write_private(folder / "settings.json", json.dumps(dict(values)))


def remembered(folder: Path) -> dict[str, str]:
    """Return the settings that the last start kept, by their names. A first start has none."""
    path = folder / "settings.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    unfinished.replace(path)
