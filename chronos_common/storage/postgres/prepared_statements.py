"""Statements that PostgreSQL reads and plans once for each connection, and not at every use.

For a statement that finds a few rows by their keys, reading and planning is most of its work.
psycopg2 sends each statement as text, so this says PREPARE before the first use on a connection,
and EXECUTE from then on.

Only for statements that each request or tick needs, and whose best plan does not depend on the
values. Each connection holds a plan for each such statement. A change of the schema makes them
anew by itself, unless it changes the types of their results. Then every connection is replaced, as
after an outage, and the callers retry.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from psycopg2.errors import FeatureNotSupported, InvalidSqlStatementName
from sqlalchemy import Engine, ExceptionContext, Executable, event

Statement = TypeVar("Statement", bound=Executable)

_OPTION = "prepared"

#: The errors of PostgreSQL for a plan whose result types changed, and for an unknown plan.
_OUTDATED = (FeatureNotSupported, InvalidSqlStatementName)

_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


def prepared(statement: Statement) -> Statement:
    """Return ``statement``, which each connection then prepares."""
    return statement.execution_options(**{_OPTION: True})


def follow(engine: Engine) -> None:
    """Prepare such statements on the connections of ``engine``."""
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "handle_error", _replace)


def _execute(cursor: Any, statement: str, parameters: Mapping[str, Any], context: Any) -> bool:
    """Execute a prepared statement. If this returns False, SQLAlchemy's dialect executes it."""
    if not context.execution_options.get(_OPTION):
        return False
    # It ends with the connection, as the plans in PostgreSQL do.
    known = context.root_connection.info.setdefault(_OPTION, {})
    if statement not in known:
        name = f"chronos_{len(known)}"
        text, names = _numbered(statement)
        cursor.execute(f"PREPARE {name} AS {text}")
        values = ", ".join(f"%({each})s" for each in names)
        known[statement] = f"EXECUTE {name} ({values})" if names else f"EXECUTE {name}"
    cursor.execute(known[statement], parameters)
    return True


def _replace(failure: ExceptionContext) -> None:
    """Make SQLAlchemy replace its connections if their prepared plans are invalid."""
    context = failure.execution_context
    is_prepared = context is not None and context.execution_options.get(_OPTION)
    if is_prepared and isinstance(failure.original_exception, _OUTDATED):
        failure.is_disconnect = True


def _numbered(statement: str) -> tuple[str, list[str]]:
    """Return the statement with numbered parameters, and their names in that order."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    return _PARAMETER.sub(number, statement), list(numbers)
