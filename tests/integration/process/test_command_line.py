"""The command line is quick because it loads nothing that it does not run."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from chronos_common import cli

#: What takes long to load or much memory; a help text needs none of it.
HEAVY = {"alembic", "celery", "environs", "flask", "kombu", "marshmallow", "pycurl"} | {
    "psycopg2", "redis", "requests", "rich", "sqlalchemy", "structlog",
}  # fmt: skip

_SHOW_LOADED = """
import sys
from chronos_common import cli
try:
    cli.main()
finally:
    print("loaded", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def _help(*words: str) -> tuple[str, set[str]]:
    """Return the help of a command, and the names of the packages that showing it loaded."""
    command = [sys.executable, "-c", _SHOW_LOADED, *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, set(done.stderr.partition("loaded ")[2].split())


@pytest.mark.parametrize(
    "words", [(), ("db", "upgrade"), *((name,) for name in sorted(cli.registered()))]
)
def test_help_loads_nothing_that_it_does_not_run(words: Sequence[str]) -> None:
    shown, loaded = _help(*words)
    assert "Usage: " in shown
    assert "click" in loaded
    assert not loaded & HEAVY


def test_the_help_names_every_command_with_its_first_sentence() -> None:
    shown, _ = _help()
    for name in cli.registered():
        assert f"  {name} " in shown
    assert "Serve the REST API until stopped." in shown


def test_what_watches_the_others_loads_none_of_what_they_need() -> None:
    code = "import sys; from chronos_common.embedded import machine; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.partition(".")[0] for name in shown.split()}
    assert "psycopg2" in loaded
    assert not loaded & {"alembic", "celery", "flask", "kombu", "redis", "sqlalchemy"}
