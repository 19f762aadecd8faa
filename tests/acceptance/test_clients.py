"""Clients that are generated from the OpenAPI document, used against a running installation.

The tools are those of ``tests/clients``, with Node. Without them these tests are skipped, except
where ``CHRONOS_TEST_CLIENTS`` is ``required``, as in ``.ci/run``.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from acceptance.cluster import EMAIL, PASSWORD, Cluster
from acceptance.inbox import Inbox
from rigs import wait_until
from targets import Target

TOOLS = Path(__file__).parents[1] / "clients"
NODE = TOOLS / "node_modules" / ".bin"
PYTHON = TOOLS / ".venv" / "bin"
SECONDS = 120

_HAS_TOOLS = shutil.which("node") is not None and NODE.is_dir() and PYTHON.is_dir()
_IS_REQUIRED = os.environ.get("CHRONOS_TEST_CLIENTS") == "required"  # noqa: TID251 - test settings

pytestmark = [
    pytest.mark.xdist_group("acceptance"),
    pytest.mark.skipif(
        not _HAS_TOOLS and not _IS_REQUIRED,
        reason="tests/clients has no tools; CONTRIBUTING.md says how to install them",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Path:
    """A folder with the document, the programs of ``tests/clients`` and their libraries."""
    folder = tmp_path_factory.mktemp("clients")
    document = requests.get(f"{cluster.api_url}/openapi.json", timeout=30)
    (folder / "openapi.json").write_bytes(document.content)
    for file in TOOLS.iterdir():
        if file.suffix in {".json", ".py", ".ts", ".yaml"}:
            shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    return folder


def _run(folder: Path, program: Path | str, *arguments: str) -> str:
    """Run a tool, which must end well, and return all that it writes."""
    path = os.pathsep.join([str(PYTHON), os.environ["PATH"]])  # noqa: TID251 - the child's
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "REDOCLY_TELEMETRY": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Path:
    """The folder, with the TypeScript programs compiled on the generated types."""
    # Otherwise, fields that have a default would have to be given.
    flag = "--default-non-nullable=false"
    _run(folder, NODE / "openapi-typescript", "openapi.json", "--output", "api.d.ts", flag)
    _run(folder, NODE / "tsc", "--project", "tsconfig.json")
    return folder / "build"


def test_redocly_finds_no_fault(folder: Path) -> None:
    said = _run(folder, NODE / "redocly", "lint", "openapi.json")
    assert "Your API description is valid" in said
    assert "warning" not in said.replace("Deprecation warning", ""), said


def test_spectral_finds_no_fault(folder: Path) -> None:
    said = _run(folder, NODE / "spectral", "lint", "openapi.json", "--fail-severity", "hint")
    assert "No results with a severity of 'hint' or higher found!" in said


def test_ajv_compiles_every_schema_in_its_strict_mode(folder: Path, compiled: Path) -> None:
    said = _run(folder, "node", str(compiled / "compile.js"), "openapi.json")
    assert int(said.split()[0]) > 300


def test_patterns_mean_the_same_in_python_and_in_javascript(folder: Path, compiled: Path) -> None:
    document = (folder / "openapi.json").read_text()
    patterns = sorted(set(_patterns(json.loads(document))))
    (folder / "patterns.json").write_text(json.dumps(patterns))
    matched = json.loads(_run(folder, "node", str(compiled / "patterns.js"), "patterns.json"))
    assert len(patterns) > 5
    assert matched == [[text for text in _TEXTS if re.search(each, text)] for each in patterns]


def _patterns(part: Any) -> Iterator[str]:
    """Yield every pattern in a part of the document."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict) and isinstance(part.get("pattern"), str):
        yield part["pattern"]
    for each in inner:
        yield from _patterns(each)


# Of every kind of character, as a text and within an address; the program makes the same ones.
_CHARACTERS = [chr(code) for code in range(0x3100) if code != ord("\n")]
_TEXTS = [*_CHARACTERS, *(f"a@b{each}.example" for each in _CHARACTERS)]


def test_a_typescript_client_runs_jobs_and_gets_what_the_document_says(
    folder: Path, compiled: Path, cluster: Cluster, inbox: Inbox, target: Target
) -> None:
    program = str(compiled / "walk.js")
    _run(folder, "node", program, "openapi.json", cluster.api_url, EMAIL, PASSWORD, target.url)
    _assert_arrived("typescript", target, inbox)


def test_a_python_client_runs_jobs(
    folder: Path, cluster: Cluster, inbox: Inbox, target: Target
) -> None:
    generated = ["--path", "openapi.json", "--output-path", "python", "--fail-on-warning"]
    config = ["--config", "python-client.yaml"]
    _run(folder, PYTHON / "openapi-python-client", "generate", *generated, *config)
    package = folder / "python" / "generated_client"
    _run(folder, PYTHON / "python", "-W", "error", "-m", "compileall", "-q", str(package))
    (folder / "generated_client").symlink_to(package)
    _run(folder, PYTHON / "python", "walk.py", cluster.api_url, EMAIL, PASSWORD, target.url)
    _assert_arrived("python", target, inbox)


def _assert_arrived(by: str, target: Target, inbox: Inbox) -> None:
    assert [each.body for each in target.received] == [b'{"by":"%s"}' % by.encode()]
    wait_until(lambda: bool(inbox.to("user@example.com", about=by)))
