"""The page about jobs agrees with the API's fields and with the schedules that it shows."""

import re
from datetime import datetime
from typing import Any

import pytest

from chronos_api.jobs.schemas import JobFields
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.payloads import TYPES
from repository import ROOT

PAGE = (ROOT / "docs" / "jobs.md").read_text()
FIELDS = JobFields().fields


def rows_after(heading: str) -> list[list[str]]:
    """Return the rows of the first table below ``heading``, without its own heading."""
    below = re.split(rf"^##+ {heading}$", PAGE, flags=re.MULTILINE)[1]
    table = re.search(r"^\|.*?(?=\n\n|\Z)", below, flags=re.MULTILINE | re.DOTALL)
    assert table is not None, heading
    lines = table[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def numbers(text: str) -> set[float]:
    return {float(each) for each in re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))}


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]*)`", text)


ROWS = {code(row[0])[0]: row[1:] for row in rows_after("Fields")}


def test_every_field_of_a_job_has_a_row_and_no_other() -> None:
    assert set(ROWS) == set(FIELDS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_gives_the_bounds_and_the_choices_of_its_field(name: str) -> None:
    metadata: dict[str, Any] = FIELDS[name].metadata
    kind, default, meaning = ROWS[name]
    assert meaning.endswith(".")
    bounds = {metadata.get(each) for each in ("minimum", "maximum", "maxLength", "minLength")}
    # The API takes whole numbers up to what PostgreSQL stores, which is no rule about jobs.
    assert bounds - {None, 0, 2**31 - 1} <= numbers(kind), kind
    choices = {each for each in metadata.get("enum", ()) if each}
    if name != "status":  # a user chooses among two of the four
        assert choices == set(code(kind)), kind
    if isinstance(metadata.get("default"), bool):
        assert default == str(metadata["default"]).lower()
    elif isinstance(metadata.get("default"), int | float):
        assert numbers(default) == {float(metadata["default"])}
    elif isinstance(metadata.get("default"), str):
        assert code(default) == [metadata["default"]]
    assert (default == "required") == FIELDS[name].required


def rows_of_type(name: str) -> dict[str, list[str]]:
    """Return the rows of the table of a type's payload by field; one may hold several fields."""
    table = re.search(rf"^\| {name} \|.*?(?=\n\n)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert table is not None, name
    lines = table[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {field: row for row in cells for field in code(row[0])}


@pytest.mark.parametrize("name", TYPES)
def test_every_field_of_a_payload_has_a_row_with_its_bounds_and_its_default(name: str) -> None:
    rows, kind = rows_of_type(name), TYPES[name]
    assert set(rows) == set(kind.by_name)
    for field in kind.fields:
        title, bounds, meaning = rows[field.name]
        assert meaning.endswith(".")
        mark = f"`{field.name}` (required)"
        # A webhook's URL may be that of the workspace.
        assert (mark in title) == (field.required and name != "webhook"), title
        assert set(field.kind.schema.get("enum", ())) <= set(re.findall(r"[A-Z]+", bounds))
        assert limits(field.kind.schema) <= numbers(bounds), bounds
        if field.name in kind.defaults:
            default = str(kind.defaults[field.name])
            assert "default" in bounds
            assert default in bounds or default.lower() in bounds


def limits(schema: Any) -> set[float]:
    """Return the bounds in a schema and in those inside, but for the ones that 1 or more means."""
    if not isinstance(schema, dict):
        return set().union(*map(limits, schema)) if isinstance(schema, list) else set()
    names = {"maxLength", "minimum", "maximum", "maxItems", "maxProperties"}
    # The longest address is of a standard, and not a bound of one field.
    own = {schema[name] for name in names & schema.keys() if schema.get("format") != "email"}
    return own.union(*map(limits, schema.values()))


@pytest.mark.parametrize("heading", ["Examples of cron expressions", "Clock changes"])
def test_the_examples_say_and_do_what_stands_beside_them(heading: str) -> None:
    for expression, description, after, runs, _note in rows_after(heading):
        (text,), moment, found = code(expression), datetime.fromisoformat(code(after)[0]), []
        assert cron.describe(text) == description
        for _run in code(runs):
            following = cron.next_after(cron.check(text), "Europe/Berlin", moment)
            assert following is not None
            moment = following
            found.append(f"{moment:%Y-%m-%dT%H:%M:%SZ}")
        assert found == code(runs), text
