"""Import rules that a contract of import-linter cannot say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import ROOT

API = ROOT / "chronos_api"

#: Modules that serve routes are named so.
ROUTES = sorted([*API.rglob("routes.py"), *API.rglob("*_routes.py")])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_by(path: Path) -> Iterator[str]:
    """Yield the name of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", ROUTES, ids=name_of)
def test_no_routes_import_other_routes(path: Path) -> None:
    assert not {name_of(each) for each in ROUTES} & set(imported_by(path))


def test_whatever_makes_a_blueprint_is_a_module_of_routes() -> None:
    makers = {path for path in API.rglob("*.py") if " = Blueprint(" in path.read_text()}
    assert makers == set(ROUTES)
