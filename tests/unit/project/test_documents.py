"""What is written about Chronos agrees with what Chronos is."""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from standardwebhooks import WebhookVerificationError

from chronos_common.domain.statuses import FINAL, MOVES, Status
from chronos_worker.http import signing
from repository import ROOT

PACKAGES = (
    "chronos_api",
    "chronos_client",
    "chronos_common",
    "chronos_scheduler",
    "chronos_worker",
)
FOLDERS = (ROOT / "docs", ROOT / "benchmarks")
PAPERS = sorted(chain(ROOT.glob("*.md"), *(folder.rglob("*.md") for folder in FOLDERS)))
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
MIGRATIONS = ROOT / "chronos_common" / "migrations" / "versions"
MAX_LINES, MAX_TEST_LINES = 400, 450

#: Folders that hold what programs made, and files that are no part of the project.
MADE = {"__pycache__", "build", "dist", "node_modules"}
PRIVATE = {".git", ".env"}


def written_files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield every file that people wrote: none of caches, builds and virtual environments."""
    for path in folder.iterdir():
        if path.is_file():
            if path.name not in PRIVATE:
                yield path
        elif path.name == ".ci" or not (
            path.name in MADE
            or path.name.startswith(".")
            or path.name.endswith(".egg-info")
            or (path / "pyvenv.cfg").exists()
        ):
            yield from written_files(path)


def table_after(heading: str, text: str) -> list[list[str]]:
    """Return the rows of all tables below ``heading`` of ``text``, without their headings."""
    section = re.split(rf"^## {heading}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def words(text: str) -> set[str]:
    return {word.strip("` ") for word in text.split(",")}


def test_the_two_lines_for_newcomers_stand_at_the_top_of_the_readme() -> None:
    top = README.split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)\n```$", top, flags=re.MULTILINE | re.DOTALL)
    assert blocks == [
        "pip install -e . && chronos up --demo",
        "pip install -e '.[test]' && pytest",
    ]
    assert "python3 -m venv" in top


def test_ci_runs_the_tests_as_the_readme_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "pip install -e '.[test]' && pytest"
    assert "set -euo pipefail" in lines


def test_the_example_verifies_what_chronos_signs_and_nothing_else() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - the README's own example
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"template": "weekly_digest"}'
    at = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the reference check reads the clock
    headers = {
        "webhook-id": "01a1fc07-cd2e-855a-80f7-1de22a6e2aa3",
        "webhook-timestamp": str(at),
        "webhook-signature": signing.sign(
            secret, "01a1fc07-cd2e-855a-80f7-1de22a6e2aa3", at, body
        ),
    }
    assert names["receive"](headers, body, secret) == {"template": "weekly_digest"}
    with pytest.raises(WebhookVerificationError):
        names["receive"](headers, body + b" ", secret)


def headings_of(paper: Path) -> set[str]:
    """Return the anchors that a Markdown page has."""
    return {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in paper.read_text().splitlines()
        if line.startswith("#")
    }


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_inside_the_repository_lead_somewhere(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", paper.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = paper.parent / name if name else paper
        assert linked.exists(), target
        if anchor:
            assert anchor in headings_of(linked), target


def test_the_page_for_extending_names_paths_that_exist() -> None:
    text = (ROOT / "docs" / "extending.md").read_text()
    paths = re.findall(r"`((?:chronos_\w+|docs|tests)/[^`\s]+)`", text)
    assert "chronos_worker/actions/<type>.py" in paths
    assert [path for path in paths if not (ROOT / path.replace("<type>", "email")).exists()] == []


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert "(docs/index.md)" in README


def test_the_readme_is_short_enough_to_read() -> None:
    assert all(len(line) <= 120 for line in README.splitlines())
    section = README.split("\n## Try it\n")[1].split("\n## ")[0]
    assert len(section.splitlines()) <= 45


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    secret_places = re.compile(r"(?<![\w.])/(work|farm|home/\w+/\w+)/|/tmp/venv")
    for path in written_files():
        if path != Path(__file__) and path.suffix != ".pem":
            found = secret_places.search(path.read_text(errors="replace"))
            assert found is None, f"{path}: {found}"


def test_every_file_is_short() -> None:
    too_long = {}
    for path in written_files():
        if path.suffix == ".py":
            is_ours = path.relative_to(ROOT).parts[0] in PACKAGES
            lines = len(path.read_text().splitlines())
            if lines > (MAX_LINES if is_ours else MAX_TEST_LINES):
                too_long[str(path.relative_to(ROOT))] = lines
    assert not too_long


def test_every_dependency_is_explained_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {
        "At run time": project["dependencies"],
        "For the tests": project["optional-dependencies"]["test"],
        "For development": project["optional-dependencies"]["dev"],
    }
    text = (ROOT / "docs" / "dependencies.md").read_text()
    for heading, requirements in needed.items():
        names = [Requirement(each).name for each in requirements]
        _, _, *rows = table_after(heading, text)
        assert [row[0] for row in rows] == sorted(set(names) - {project["name"]}), heading
        assert all(len(row) == 5 and all(row) for row in rows), heading


def test_the_changelog_has_unreleased_changes_first_and_then_the_releases_in_order() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.split(r"^## \[([^\]]+)\].*$", text, flags=re.MULTILINE)[1:]
    unreleased, *released = sections[::2]
    assert unreleased == "Unreleased"
    numbers = [tuple(map(int, each.split("."))) for each in released]
    assert numbers == sorted(numbers, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for section in sections[1::2]:
        assert set(re.findall(r"^### (.+)$", section, flags=re.MULTILINE)) <= kinds
    assert "\n- " in sections[1] or released


def test_the_tables_of_statuses_are_those_of_the_code() -> None:
    rows = table_after("Statuses", ARCHITECTURE)
    described = set(chain.from_iterable(words(row[0]) for row in rows if len(row) == 4))
    assert described >= {str(status) for status in Status}
    moves = {row[0]: words(row[1]) for row in rows if len(row) == 2 and row[0] in set(Status)}
    assert moves == {
        str(status): {str(each) for each in targets}
        for status, targets in MOVES.items()
        if status not in FINAL
    }


def test_the_tables_and_indexes_that_are_described_are_those_of_the_migrations() -> None:
    statements = "\n".join(path.read_text() for path in MIGRATIONS.glob("0*.py"))
    tables = set(re.findall(r"CREATE TABLE (\w+)", statements)) - {"executions_default"}
    created = r"CREATE (?:UNIQUE )?INDEX |create_index\(\s*\""
    upgrades = [text.partition("def downgrade")[0] for text in statements.split("Revision ID: ")]
    dropped = set(re.findall(r'"DROP INDEX (\w+)"', "\n".join(upgrades)))
    indexes = set(re.findall(rf"(?:{created})(\w+)", statements)) - dropped
    rows = table_after("Tables and indexes", ARCHITECTURE)
    described = set(chain.from_iterable(words(row[0]) for row in rows if "`" in row[0]))
    assert described == tables | indexes


def linked_from_architecture() -> set[str]:
    return set(re.findall(r"\]\(\.\./([\w/.]+?)/?\)", ARCHITECTURE))


def test_every_module_of_the_scheduler_and_at_the_top_of_the_worker_is_described() -> None:
    for package in ("chronos_scheduler", "chronos_worker"):
        names = {path.name for path in (ROOT / package).glob("*.py")}
        modules = {f"{package}/{name}" for name in names - {"__init__.py", "command.py"}}
        assert modules <= linked_from_architecture(), modules - linked_from_architecture()


def test_every_folder_of_the_programs_is_described_and_no_other() -> None:
    folders = {
        str(path.parent.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        # 'pip install ./chronos_client' leaves a copy in build/.
        if "build" not in path.relative_to(ROOT).parts
    }
    rows = table_after("Folders", ARCHITECTURE)
    described = {row[0].strip("[").partition("]")[0] for row in rows[2:]}
    assert described == folders - {"chronos_common/migrations/versions"}


def test_every_promise_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"^def (test_\w+)\(", sources, flags=re.MULTILINE))
    _, _, *rows = table_after("The promises", text)
    assert len(rows) >= 10
    for number, promise, figure, tests in rows:
        named = set(re.findall(r"`(test_\w+)`", tests))
        assert all((promise, figure, named)), number
        assert named <= existing, named - existing
    assert set(re.findall(r"`(test_\w+)`", text)) <= existing
