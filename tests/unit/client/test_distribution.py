"""The light distribution has the client's commands, and pulls nothing of the server."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import click
import pytest
from packaging.requirements import Requirement

from repository import ROOT

WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())
LIGHT = tomllib.loads((ROOT / "chronos_client" / "pyproject.toml").read_text())
#: What the client's own requirements bring.
ALLOWED = {"click", "requests", "rich"}


def test_it_needs_three_packages_and_pulls_no_server() -> None:
    needed = {Requirement(each).name for each in LIGHT["project"]["dependencies"]}
    assert needed == ALLOWED
    optional = LIGHT["project"]["optional-dependencies"]
    assert {Requirement(each).name for each in optional["yaml"]} == {"pyyaml"}


def test_it_has_the_version_of_the_whole_distribution() -> None:
    for name in ("version", "requires-python", "license"):
        assert LIGHT["project"][name] == WHOLE["project"][name]


def test_both_register_the_same_commands() -> None:
    whole = WHOLE["project"]["entry-points"]["chronos.commands"]
    clients = {name: each for name, each in whole.items() if each.startswith("chronos_client")}
    assert LIGHT["project"]["entry-points"]["chronos.commands"] == clients


def leaves(command: click.Command, name: str) -> Iterator[str]:
    """Yield the full name of each command below one."""
    if not isinstance(command, click.Group):
        yield name
        return
    for each in command.commands.values():
        yield from leaves(each, f"{name} {each.name}")


@pytest.mark.parametrize(
    ("noun", "place"), LIGHT["project"]["entry-points"]["chronos.commands"].items()
)
def test_every_command_stands_on_a_page(noun: str, place: str) -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
    command = EntryPoint(noun, place, "chronos.commands").load()
    for name in leaves(command, f"chronos {noun}"):
        # A list of the other commands of a noun gives their last words alone.
        in_list = f"`{name.split()[-1]}`" in pages["command-line"]
        assert in_list or any(name in page for page in pages.values()), name


def test_it_ships_every_folder_of_the_client() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "chronos_client").rglob("__init__.py")
    }
    assert set(LIGHT["tool"]["setuptools"]["packages"]) == folders


def test_the_image_has_the_client_as_well() -> None:
    """Without it, the commands that the whole distribution registers would not load there."""
    assert "COPY chronos_client chronos_client" in (ROOT / "deploy" / "Dockerfile").read_text()
    assert "!chronos_client" in (ROOT / ".dockerignore").read_text().splitlines()
