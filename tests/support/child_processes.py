"""Processes that tests start: their environment, and whether they live."""

import os
import tempfile
from pathlib import Path

import psutil


def inherited_environment() -> dict[str, str]:
    """Return this process's environment without settings of Chronos.

    Profiles of the person who runs the tests stay as they are.
    """
    given = os.environ  # noqa: TID251 - for children
    inherited = {name: value for name, value in given.items() if not name.startswith("CHRONOS_")}
    folder = Path(tempfile.gettempdir()) / f"chronos-tests-{os.getuid()}"
    return inherited | {"CHRONOS_PROFILES_FILE": str(folder / "profiles.json")}


def lives(process: psutil.Process) -> bool:
    """Return whether ``process`` runs. An orphan stays a zombie until init reaps it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
