"""Processes that tests start: their environment, and whether they live."""

import os

import psutil


def inherited_environment() -> dict[str, str]:
    """Return this process's environment without settings of Chronos."""
    given = os.environ  # noqa: TID251 - for children
    return {name: value for name, value in given.items() if not name.startswith("CHRONOS_")}


def lives(process: psutil.Process) -> bool:
    """Return whether ``process`` runs. An orphan stays a zombie until init reaps it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
