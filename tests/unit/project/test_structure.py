"""Newcomers find their way: small folders, modules of one subject, and names with one meaning."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repository import ROOT

MODULES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted(ROOT.glob("chronos_*/**/*.py"))
}
MIGRATIONS = "chronos_common/migrations/versions"

MOST_IN_FOLDER = 13
LEAST_LINES = 40

#: Programs, which only start what others hold, and the file that alembic runs.
ENTRY_POINTS = {"__init__.py", "command.py", "main.py", "wsgi.py", "env.py"}

#: Modules that may be shorter, and why.
SHORT = {
    "chronos_api/accounts/verification_routes.py": "routes of one resource",
    "chronos_api/adhoc_runs/routes.py": "routes of one resource",
    "chronos_api/audit/routes.py": "routes of one resource",
    "chronos_api/deletion/schemas.py": "requests and answers of one subject",
    "chronos_api/jobs/previews/routes.py": "routes of one resource",
    "chronos_api/jobs/holdings.py": "every change of jobs stands on it",
    "chronos_api/ui/routes/audit_routes.py": "routes of one resource",
    "chronos_api/ui/routes/system_routes.py": "routes of one resource",
    "chronos_api/context.py": "every module reads it, so that it stands on nothing of the API",
    "chronos_common/storage/accounts/preferences.py": "the statements of one table",
    "chronos_common/failpoints.py": "even the clock stands on it, so that it stands on nothing",
    "chronos_common/migrations/revisions.py": "read at every start, without loading alembic",
    "chronos_worker/transfers/descriptors.py": "no other module there is about open files",
    "chronos_scheduler/complete.py": "a loop of the scheduler",
}

#: Words that name no thing of this field, or one for which the field has another name.
BANNED = {
    "chosen",
    "fate",
    "fates",
    "flight",
    "flights",
    "letter",
    "letters",
    "listed",
    "mine",
    "notice",
    "notices",
    "patience",
    "slot",
    "slots",
    "trail",
    "who",
    "words",
}
#: Names of the field that hold one of them.
ALLOWED = {"in_flight"}


def definitions() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, source in MODULES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def crowded_folders() -> Iterator[str]:
    modules = defaultdict(list)
    for path in MODULES:
        folder, _, name = path.rpartition("/")
        if name != "__init__.py" and folder != MIGRATIONS:
            modules[folder].append(name)
    for folder, names in modules.items():
        if len(names) > MOST_IN_FOLDER:
            yield f"{folder}: {len(names)} modules"


def short_modules() -> Iterator[str]:
    for path, source in MODULES.items():
        folder, _, name = path.rpartition("/")
        is_excepted = name in ENTRY_POINTS or folder == MIGRATIONS or path in SHORT
        if not is_excepted and len(source.splitlines()) < LEAST_LINES:
            yield path


def shared_class_names() -> Iterator[str]:
    places = defaultdict(list)
    for path, node in definitions():
        if isinstance(node, ast.ClassDef):
            places[node.name].append(path)
    for name, paths in places.items():
        if len(paths) > 1:
            yield f"class {name}: {', '.join(paths)}"


def banned_names() -> Iterator[str]:
    found = [(path, Path(path).stem) for path in MODULES]
    found += [(path, node.name) for path, node in definitions()]
    for path, name in found:
        parts = set(re.findall(r"[A-Z]?[a-z]+", name))
        if name not in ALLOWED and BANNED & {part.lower() for part in parts}:
            yield f"{path}: {name}"


@pytest.mark.parametrize(
    "breaches", [crowded_folders, short_modules, shared_class_names, banned_names]
)
def test_newcomers_find_their_way(breaches: Callable[[], Iterator[str]]) -> None:
    assert list(breaches()) == []


def test_short_modules_are_there_and_short() -> None:
    """Fails if an exception is left over."""
    lines = {path: len(MODULES[path].splitlines()) for path in SHORT}
    assert [path for path, count in lines.items() if count >= LEAST_LINES] == []
