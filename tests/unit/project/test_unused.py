"""What a module offers is used: a step that was forgotten leaves something that nobody uses.

So these fail here: a metric that nothing counts, the ``prune`` of a table that is not called, a
module of routes that the application lacks, a channel that no sender gets, and a setting that
nobody reads.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

from chronos_common.settings import Settings
from repository import ROOT

PACKAGES = ("chronos_api", "chronos_common", "chronos_scheduler", "chronos_worker")

#: Names that are used in a way that no import tells.
USED_OTHERWISE = {
    # Loaded by its name.
    "chronos_api.wsgi.app",
    # Registers itself with the library of rate limits.
    "chronos_api.security.rate_limit_storage.Counts",
    # Imports the pages, which add themselves to their blueprint.
    "chronos_api.ui.pages.SUBJECTS",
    # For payloads of types to come.
    "chronos_common.domain.payloads.fields.redacted",
    # Tests compare statuses and documents with the one, and verify requests with the other.
    "chronos_common.domain.statuses.MOVES",
    "chronos_worker.http.signing.sign",
}
#: Functions that are loaded by their names, from each module of their kind.
FOUND_BY_NAME = re.compile(r"chronos_worker\.actions\.\w+\.build|chronos_.*\.command\.preload")
#: Modules that are loaded by their names: programs, and folders of types, commands and revisions.
LOADED_BY_NAME = re.compile(
    r".*\.(__main__|main|command|wsgi|env)|chronos_worker\.actions\.\w+"
    r"|chronos_common\.migrations\.versions\.\w+"
)
#: Tables that only SQL names. Tests compare this module with the migrations.
TABLES = "chronos_common.storage.tables"

Definition = ast.FunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, ast.Module]:
    return {
        name_of(path): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def offered(tree: ast.Module) -> Iterator[str]:
    """Yield the public names of a module."""
    for node in tree.body:
        names = []
        if isinstance(node, Definition) and not is_registered(node):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [each.id for each in node.targets if isinstance(each, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from (name for name in names if not name.startswith("_"))


def is_registered(node: Definition) -> bool:
    """Return whether a decorator hands the definition to somebody, like a route's."""
    plain = {"dataclass", "cache", "contextmanager"}
    return bool({ast.unparse(each).split("(")[0] for each in node.decorator_list} - plain)


def used_by(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield the full names that a module uses, with some that it only may use."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    yield from imported.values()
    attributes = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
    owners = set()
    for node in ast.walk(tree):  # an attribute comes before its owner
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owners.add(node.value)
            yield f"{imported.get(node.value.id)}.{node.attr}"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield imported.get(node.id, f"{name}.{node.id}")
            if node.id in imported and node not in owners:
                # A value like others: for each in (api_keys, invitations): each.prune(...)
                yield from (f"{imported[node.id]}.{attribute}" for attribute in attributes)


@cache
def used() -> frozenset[str]:
    return frozenset(each for name, tree in modules().items() for each in used_by(name, tree))


def test_every_public_name_is_used() -> None:
    unused = {
        f"{module}.{name}"
        for module, tree in modules().items()
        if module != TABLES and ".migrations.versions." not in module
        for name in offered(tree)
        if f"{module}.{name}" not in used()
    }
    assert {name for name in unused if not FOUND_BY_NAME.fullmatch(name)} == USED_OTHERWISE


def test_every_module_is_imported() -> None:
    imported = {
        parent
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        for parent in (node.module, f"{node.module}.{alias.name}")
    }
    folders = {name.rpartition(".")[0] for name in modules()}
    unused = modules().keys() - folders - imported
    assert {name for name in unused if not LOADED_BY_NAME.fullmatch(name)} == set()


def test_every_setting_is_read() -> None:
    read = {
        node.attr
        for module, tree in modules().items()
        if module != Settings.__module__
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    # ``quotas`` makes these names, of quotas that are public names themselves.
    names = {each.name for each in fields(Settings) if not each.name.startswith("quota_")}
    assert names - read == set()
