"""What the client loads, and which program answers where both distributions are installed."""

import subprocess
import sys

import pytest

#: Modules that take long to load, and that no help needs.
SLOW = ("requests", "rich", "yaml", "urllib3", "flask", "sqlalchemy", "celery")

HELP = """
import contextlib, io
from chronos_client.commands.program import chronos
with contextlib.redirect_stdout(io.StringIO()):
    for words in (["jobs", "--help"], ["jobs", "run", "--help"], ["login", "--help"]):
        chronos(words, standalone_mode=False)
"""


def loaded_by(code: str) -> set[str]:
    """Return the slow modules that a program loads."""
    report = f"{code}\nimport sys\nprint(*[each for each in {SLOW!r} if each in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import chronos_client", "import chronos_client.webhook", HELP],
    ids=["package", "webhook", "help"],
)
def test_what_needs_no_server_loads_no_http_library(code: str) -> None:
    assert loaded_by(code) == set()


def test_the_public_names_can_be_loaded() -> None:
    import chronos_client  # noqa: PLC0415 - the names are loaded when they are used

    assert all(getattr(chronos_client, name) for name in chronos_client.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        chronos_client.nothing  # noqa: B018 - the access is the test


def test_the_light_command_hands_over_to_the_whole_one() -> None:
    """Both distributions may be installed, and either may have written the script."""
    code = "from chronos_client.commands.program import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "up", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Run all of Chronos on this machine" in done.stdout
