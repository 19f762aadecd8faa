"""Revisions of the schema keep nobody from a large table for longer than a moment."""

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

VERSIONS = Path(str(files("chronos_common.migrations.versions")))

#: The last revision of before the rules. Earlier ones rewrite columns of large tables.
BEFORE = "0009"

LARGE = (
    "executions|executions_default|jobs|schedules|audit_log|notifications"
    "|execution_stats|execution_stats_hourly"
)
_TABLE = rf"(?:IF EXISTS )?(?:ONLY )?(?:{LARGE})\b"

RULES = {
    "an index: use steps.create_index": rf"^CREATE (?:UNIQUE )?INDEX .*\bON {_TABLE}",
    "all rows in one statement: go through them in parts, each with a LIMIT": (
        rf"^(?:UPDATE|DELETE FROM) {_TABLE}(?!.*\bLIMIT\b)"
    ),
    "a rewrite of the table: add a column instead": (
        rf"^ALTER TABLE {_TABLE}.*(?:\bTYPE\b|\bSTORED\b"
        r"|\bDEFAULT (?:gen_random_uuid|uuidv7|random|clock_timestamp)\b)"
    ),
    "a check of every row under a lock: add it NOT VALID, and VALIDATE it in the next revision": (
        rf"^ALTER TABLE {_TABLE}.*\bADD\b.*\b(?:CHECK|REFERENCES|FOREIGN KEY)\b(?!.*\bNOT VALID\b)"
    ),
    "a check of every row under a lock: validate CHECK (... IS NOT NULL) in the revision before": (
        rf"^ALTER TABLE {_TABLE}.*\bSET NOT NULL\b"
    ),
    "a value for every row: give the column a DEFAULT": (
        r"^ALTER TABLE .*\bADD (?:COLUMN )?(?!CONSTRAINT)\w+ "
        r"(?![^,]*\b(?:DEFAULT|GENERATED)\b)[^,]*\bNOT NULL\b"
    ),
}

CASES = [
    ("CREATE INDEX a ON jobs (name)", "an index"),
    ("CREATE UNIQUE INDEX a ON ONLY executions\n    (id, job_id)", "an index"),
    ("UPDATE jobs SET name = lower(name)", "all rows"),
    ("DELETE FROM audit_log WHERE workspace_id IS NULL", "all rows"),
    ("ALTER TABLE executions ALTER attempts TYPE jsonb", "a rewrite"),
    ("ALTER TABLE jobs ADD a text GENERATED ALWAYS AS (lower(name)) STORED", "a rewrite"),
    ("ALTER TABLE jobs ADD token uuid DEFAULT gen_random_uuid()", "a rewrite"),
    ("ALTER TABLE jobs ADD a text CHECK (a <> '')", "a check"),
    ("ALTER TABLE schedules ADD CONSTRAINT a CHECK (jitter_seconds < 5)", "a check"),
    ("ALTER TABLE jobs ADD a uuid REFERENCES users", "a check"),
    ("-- Why.\nALTER TABLE jobs\n    ALTER a SET NOT NULL", "a check"),
    ("ALTER TABLE users ADD a text NOT NULL", "a value"),
]
ALLOWED = [
    "CREATE INDEX a ON invitations (email)",
    "ALTER TABLE jobs ADD a text",
    "ALTER TABLE jobs ADD a text NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD CONSTRAINT a CHECK (a <> '') NOT VALID",
    "ALTER TABLE jobs VALIDATE CONSTRAINT a",
    "UPDATE jobs SET a = '' WHERE id IN (SELECT id FROM jobs WHERE a IS NULL LIMIT 1000)",
    "ALTER TABLE users ADD a text NOT NULL GENERATED ALWAYS AS (lower(email)) STORED",
    "UPDATE users SET email = lower(email)",
    "CREATE TABLE a (b text NOT NULL CHECK (b <> ''))",
]


def faults(sql: str) -> Iterator[str]:
    """Return the rules that statements break."""
    for statement in re.sub(r"--[^\n]*", "", sql).split(";"):
        plain = " ".join(statement.split())
        for rule, pattern in RULES.items():
            if re.search(pattern, plain, re.IGNORECASE):
                yield f"{rule}: {plain[:80]}"


def upgrade_texts(source: str) -> Iterator[str]:
    """Yield the texts of a revision that are none of its downgrade."""
    for node in ast.parse(source).body:
        if not _is_downgrade(node):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def _is_downgrade(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name == "downgrade"
    names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return any("DOWNGRADE" in name for name in names)


@pytest.mark.parametrize(("sql", "rule"), CASES)
def test_the_rules_find_a_statement_that_holds_a_large_table(sql: str, rule: str) -> None:
    assert any(fault.startswith(rule) for fault in faults(sql))


@pytest.mark.parametrize("sql", ALLOWED)
def test_the_rules_let_others_through(sql: str) -> None:
    assert list(faults(sql)) == []


def test_a_text_of_a_downgrade_is_not_looked_at() -> None:
    source = (
        'UP = "CREATE INDEX a ON jobs (b)"\nDOWNGRADE = "UPDATE jobs SET c = 1"\n'
        'def downgrade():\n    run("UPDATE jobs SET c = 2")\n'
    )
    assert list(upgrade_texts(source)) == ["CREATE INDEX a ON jobs (b)"]


def test_no_revision_holds_a_large_table() -> None:
    paths = [path for path in sorted(VERSIONS.glob("[0-9]*.py")) if path.name[:4] > BEFORE]
    assert paths
    found = [
        f"{path.name}: {fault}"
        for path in paths
        for content in upgrade_texts(path.read_text())
        for fault in faults(content)
    ]
    assert not found, "\n".join(found)
