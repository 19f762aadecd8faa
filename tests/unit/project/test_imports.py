"""Import rules that a contract of import-linter cannot say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import ROOT

API = ROOT / "chronos_api"

#: The module that records what follows a change: audit log, statistics, live events.
TRANSACTIONS = API / "transactions.py"

#: Modules of storage that record changes, each with the names that others may use of it.
RECORDS = {
    "chronos_common.storage.audit": {"AuditFilter", "page", "of_user", "latest_changes"},
    "chronos_common.storage.change_feed": {"follow"},
    "chronos_common.storage.consequences": set(),
    "chronos_common.storage.executions.statistics": set(),
}

#: The dashboard.
PAGES = API / "ui"

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
    assert {path for path in makers if PAGES not in path.parents} == {
        path for path in ROUTES if PAGES not in path.parents
    }


def test_all_pages_share_one_blueprint_which_has_their_policy() -> None:
    """One without it would show programs' error documents, and have no Content Security Policy."""
    pages = [path for path in ROUTES if PAGES in path.parents]
    assert pages
    for path in pages:
        assert "chronos_api.ui.blueprint.blueprint" in set(imported_by(path)), path


def uses_of(path: Path, module: str) -> set[str]:
    """Return the names of a module that a file imports, or uses as its attributes."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    package, _, name = module.rpartition(".")
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if node.module == module for alias in node.names}
    own = [alias for node in imports if node.module == package for alias in node.names]
    modules = {alias.asname or alias.name for alias in own if alias.name == name}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return names | {each.attr for each in attributes if ast.unparse(each.value) in modules}


@pytest.mark.parametrize(("module", "allowed"), RECORDS.items(), ids=RECORDS)
def test_only_transactions_record_changes(module: str, allowed: set[str]) -> None:
    """A service that called one of these by itself could forget the others."""
    for path in API.rglob("*.py"):
        if path != TRANSACTIONS:
            assert uses_of(path, module) <= allowed, name_of(path)


def test_transactions_record_changes() -> None:
    """Fails if the test before looked for names that nobody uses."""
    assert uses_of(TRANSACTIONS, "chronos_common.storage.audit") == {
        "append",
        "append_failed_login",
    }
    assert uses_of(TRANSACTIONS, "chronos_common.storage.consequences") == {"write"}
