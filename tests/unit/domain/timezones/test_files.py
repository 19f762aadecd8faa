"""One time zone database decides: that of the package, whatever the host has."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tzdata

from chronos_common import settings
from chronos_common.domain.cron import expression
from chronos_common.domain.timezones import files, zones
from repository import ROOT
from zone_rules import zone_file


def test_vancouver_follows_the_rules_of_the_package() -> None:
    """British Columbia keeps -07:00 since release 2026b, which no system of 2025 knows."""
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    found = expression.next_after("0 9 * * *", "America/Vancouver", moment)
    assert found == datetime(2026, 12, 1, 16, tzinfo=UTC)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A host's folder, in which every zone is thirteen hours ahead of UTC."""
    for name in files.names():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zone_file(timedelta(hours=13)))
    return tmp_path


_PRINT = """
from datetime import UTC, datetime
from chronos_common.domain.timezones import files as zone_files, zones
moment = datetime(2026, 7, 1, tzinfo=UTC)
for name in sorted(zone_files.names()):
    print(name, moment.astimezone(zones.zone_of(name)).utcoffset())
print(zone_files.digest())
"""


def test_every_zone_is_the_packages_whatever_the_hosts_folder_says(foreign: Path) -> None:
    def printed(search_path: str) -> str:
        environment = {"PYTHONTZPATH": search_path, "PATH": str(settings.given("PATH") or "")}
        command = [sys.executable, "-c", _PRINT]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    with_foreign = printed(str(foreign))
    assert with_foreign == printed("")
    assert "Europe/Berlin 2:00:00" in with_foreign.splitlines()


def test_the_hosts_file_is_found_for_what_was_computed_with_it(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TZPATH", ("/nowhere", str(foreign)))
    assert files.of_system("Europe/Berlin") == zone_file(timedelta(hours=13))
    monkeypatch.setattr(files, "TZPATH", ())
    assert files.of_system("Europe/Berlin") is None


def test_names_are_those_of_the_package_and_mean_the_same_everywhere() -> None:
    listed = (Path(tzdata.__file__).parent / "zones").read_text("utf-8").split()
    assert files.names() == set(listed) - {"Factory", "localtime", "posixrules"}
    for name in files.names():
        assert zones.zone_of(name).key == name


def test_nothing_of_chronos_asks_zoneinfo_for_a_zone_by_its_name() -> None:
    """Fails if a module makes a ``ZoneInfo`` itself: that would be the system's.

    The client is another program, which only shows instants. It runs on its user's machine.
    """
    packages = [each for each in ROOT.glob("chronos_*") if each.name != "chronos_client"]
    sources = [path for each in packages for path in each.rglob("*.py")]
    assert len(sources) > 100
    for path in sources:
        text = path.read_text("utf-8")
        for way in ("ZoneInfo(", "available_timezones", "gettz", "pytz"):
            assert way not in text.replace("isinstance(zone, ZoneInfo)", ""), (path, way)


def test_the_version_is_that_of_the_package() -> None:
    assert files.VERSION == tzdata.IANA_VERSION
