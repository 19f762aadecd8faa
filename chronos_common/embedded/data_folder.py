"""The data folder of ``chronos up``: checks whether it is usable, and the secrets in it."""

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from chronos_common.errors import ChronosError

_SECRET_BYTES = 48


class FolderUnusable(ChronosError):
    """The data folder cannot be written."""


class AddressUnusable(ChronosError):
    """The API cannot listen on this address."""


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


def check_address(host: str, port: int) -> None:
    """Raise :class:`AddressUnusable` if nothing can listen on ``host`` and ``port`` now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressUnusable(
            f"There is no address {host!r} on this machine: {error.strerror}. "
            "Give one of its own, like 127.0.0.1, with --host."
        ) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise AddressUnusable(
                f"The API cannot listen on {host} port {port}: {error.strerror}. "
                "Choose another port with --port, or another address with --host."
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
