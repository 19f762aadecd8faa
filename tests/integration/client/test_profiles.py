"""Which server and which key are used, and how they are kept."""

import stat
from pathlib import Path

import pytest

from chronos_client import profiles
from chronos_client.errors import ProfileUnusable
from chronos_client.profiles import ProfileFile, ServerProfile

ONE = ServerProfile(url="https://one.example", key="chr_one")
TWO = ServerProfile(url="https://two.example", key="chr_two")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a file of two profiles, of which the first is in use."""
    path = tmp_path / "folder" / "profiles.json"
    content = ProfileFile().with_profile("one", ONE, use=True).with_profile("two", TWO, use=False)
    profiles.save(path, content)
    return {"CHRONOS_PROFILES_FILE": str(path)}


def test_the_file_is_its_owners_only(environment: dict[str, str]) -> None:
    path = profiles.location(environment)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(ProfileUnusable, match="chmod 600"):
        profiles.load(path)


def test_the_order_of_the_sources(environment: dict[str, str]) -> None:
    assert profiles.resolve(None, environment) == ONE
    assert profiles.resolve(None, environment | {"CHRONOS_PROFILE": "two"}) == TWO
    assert profiles.resolve("two", environment) == TWO
    given = environment | {"CHRONOS_URL": "https://three.example", "CHRONOS_API_KEY": "chr_3"}
    assert profiles.resolve(None, given).key == "chr_3"
    assert profiles.resolve("two", given) == TWO


def test_no_server_gets_the_key_of_another_one(environment: dict[str, str]) -> None:
    url_only = environment | {"CHRONOS_URL": "https://three.example"}
    assert profiles.resolve(None, url_only).key is None
    with pytest.raises(ProfileUnusable, match="Set CHRONOS_URL"):
        profiles.resolve(None, environment | {"CHRONOS_API_KEY": "chr_3"})


@pytest.mark.parametrize("text", ["", "[]", '{"profiles": {"a": {"odd": 1}}}', "{}"])
def test_a_broken_file_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profiles.json"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ProfileUnusable, match="Remove it"):
        profiles.load(path)


def test_the_key_is_not_in_a_text_about_the_profile() -> None:
    assert "chr_one" not in repr(ONE)


def test_the_file_stands_in_the_users_configuration() -> None:
    found = profiles.location({"XDG_CONFIG_HOME": "/x"})
    assert found == Path("/x/chronos/profiles.json")
    assert profiles.location({}).parts[-3:] == (".config", "chronos", "profiles.json")
