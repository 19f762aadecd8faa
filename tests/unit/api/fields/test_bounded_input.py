"""Very much wrong input is refused before it is understood, by every schema that is read."""

from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import ValidationError, fields
from marshmallow.validate import Length

import chronos_api.app  # noqa: F401 - loads every schema
from chronos_api.fields.base import Strict
from chronos_api.fields.fields import BoundedList
from chronos_api.http.json_body import flatten, made


def schemas(base: type[Strict] = Strict) -> Iterator[type[Strict]]:
    for schema in base.__subclasses__():
        yield schema
        yield from schemas(schema)


SCHEMAS = sorted(set(schemas()), key=lambda schema: f"{schema.__module__}.{schema.__name__}")
LISTS = [
    (schema, name)
    for schema in SCHEMAS
    for name, field in made(schema).fields.items()
    if isinstance(field, fields.List)
]


def errors_of(schema: type[Strict], sent: dict[str, Any]) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        made(schema).load(sent)
    return flatten(caught.value.messages)


@pytest.mark.parametrize(("schema", "name"), LISTS)
def test_a_list_is_measured_before_its_items_are_read(
    schema: type[Strict], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = made(schema).fields[name]
    assert isinstance(field, BoundedList)
    [longest] = [each.max for each in field.validators if isinstance(each, Length)]
    assert longest is not None

    def read(*_: object, **__: object) -> None:
        raise AssertionError("an item was read")

    monkeypatch.setattr(field.inner, "deserialize", read)
    with pytest.raises(ValidationError):
        field.deserialize([object()] * (longest + 1), name, {})


@pytest.mark.parametrize("schema", SCHEMAS)
def test_of_very_many_unknown_members_some_are_named(schema: type[Strict]) -> None:
    unknown = {f"unknown-{number}": number for number in range(5000)}
    found = errors_of(schema, unknown)
    assert "unknown-0" in found
    assert len([name for name in found if name in unknown]) == 50


def test_a_known_member_is_read_among_very_many_unknown_ones() -> None:
    class Named(Strict):
        name = fields.Integer()

    unknown = {f"unknown-{number}": number for number in range(5000)}
    assert errors_of(Named, unknown | {"name": "x"}).keys() > {"name", "unknown-0"}
