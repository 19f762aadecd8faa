"""Nobody ends an execution without its consequences: statistics, failure e-mails, live events.

1. A statement that writes an execution's end stands in a function that returns ``Moved``.
2. Every caller of such a function hands the result over, or returns it as ``Moved`` in turn.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from chronos_common.storage.consequences import CONSEQUENCES
from repository import ROOT

#: Where executions that moved are handed over.
HAND_OVERS = {"chronos_common.storage.consequences.write", "tx.moved"}

#: SQL that gives rows of ``executions`` an end.
WRITES_END = re.compile(
    r"(UPDATE executions\b(?:(?!\bWHERE\b).)*?\bfinished_at\s*="
    r"|INSERT INTO executions\s*\([^)]*\bfinished_at\b"
    r"|\b(insert|update)\((tables\.)?executions\))",
    re.DOTALL,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module

    @cached_property
    def imports(self) -> dict[str, str]:
        """The full names of imported things by the names that they have here."""
        return {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def callee(self, call: ast.Call) -> str:
        """Return the full name of a function that is called."""
        first, dot, rest = ast.unparse(call.func).partition(".")
        if not dot and first not in self.imports:
            return f"{self.name}.{first}"
        return self.imports.get(first, first) + dot + rest

    @property
    def functions(self) -> Iterator[Function]:
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


@cache
def modules() -> list[Module]:
    return [
        Module(name_of(path), ast.parse(path.read_text()))
        for path in sorted(ROOT.glob("chronos_*/**/*.py"))
        if "versions" not in path.parts
    ]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def text_of(node: ast.AST) -> str:
    return " ".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def statements_of_ends(module: Module) -> set[str]:
    """Return the names of constants with such SQL, or made of one that has it."""
    found: set[str] = set()
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and (
            WRITES_END.search(text_of(node.value)) or found & names_in(node.value)
        ):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def returns_moved(function: Function) -> bool:
    return "Moved" in (ast.unparse(function.returns) if function.returns else "")


def writers() -> Iterator[tuple[str, Function]]:
    """Yield the functions that give executions an end."""
    for module in modules():
        statements = statements_of_ends(module)
        for function in module.functions:
            uses_statement = statements & names_in(function)
            if uses_statement or WRITES_END.search(text_of(function) + ast.unparse(function)):
                yield f"{module.name}.{function.name}", function


def movers() -> set[str]:
    """Return the full names of the functions that return executions that moved."""
    return {
        f"{module.name}.{function.name}"
        for module in modules()
        for function in module.functions
        if returns_moved(function)
    }


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield each


def handed_over(module: Module, function: Function) -> set[str]:
    """Return the names, and the expressions, that a function hands over."""
    found: set[str] = set()
    for call in calls_in(function):
        if module.callee(call) in HAND_OVERS:
            found |= {ast.unparse(argument) for argument in call.args}
    return found


def targets_of(call: ast.Call, function: Function) -> Iterator[str]:
    """Yield the expressions and names that hold the result of a call."""
    yield ast.unparse(call)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AugAssign) and call in ast.walk(node.value):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (each for each in names_in(target))


def forgotten() -> Iterator[str]:
    """Yield calls whose executions are neither handed over nor returned."""
    known = movers()
    for module in modules():
        for function in module.functions:
            if returns_moved(function):
                continue
            found = handed_over(module, function)
            for call in calls_in(function):
                if module.callee(call) in known and not found & set(targets_of(call, function)):
                    yield f"{module.name}.{function.name}: {ast.unparse(call.func)}"


def test_whatever_ends_an_execution_returns_it_as_moved() -> None:
    assert [name for name, function in writers() if not returns_moved(function)] == []


def test_whoever_ends_an_execution_hands_it_over() -> None:
    assert list(forgotten()) == []


def test_the_statements_that_end_executions_are_found() -> None:
    """Fails if the tests before looked for statements or calls that nobody writes any more."""
    found = {name for name, _ in writers()}
    assert {name.removeprefix("chronos_common.storage.executions.") for name in found} == {
        "executions.record",
        "executions.end",
        "skipped.add",
        "history.cancel",
        "history.cancel_unstarted",
        "history.cancel_unstarted_in",
    }
    called = {module.callee(call) for module in modules() for call in calls_in(module.tree)}
    assert called >= found


@pytest.mark.parametrize("consequence", CONSEQUENCES, ids=lambda each: each.__name__)
def test_a_consequence_is_only_called_in_its_place(consequence) -> None:
    """Fails if a place calls one consequence by itself, and so forgets the others."""
    name = f"{consequence.__module__}.{consequence.__name__}"
    callers = [
        module.name
        for module in modules()
        if name in {module.callee(call) for call in calls_in(module.tree)}
    ]
    assert callers == []
