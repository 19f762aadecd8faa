"""An answer is rendered by the class that documents it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from marshmallow import Schema, fields

import chronos_api.app  # noqa: F401 - loads every schema
from chronos_api.docs.openapi import FieldError, ProblemDocument, QuotaExcess
from chronos_api.fields.base import Answer, DocumentAnswer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import Instant

ID = UUID(int=7)
AT = datetime(2026, 11, 30, 9, 0, 0, 123456, UTC)


class Person(ValueAnswer):
    name = fields.String(required=True)
    age = fields.Integer(attribute="years.number", required=True)


class House(Answer):
    id = fields.UUID(required=True)
    built_at = Instant(attribute="created_at", required=True, allow_none=True)
    owner = fields.Nested(Person, required=True, allow_none=True)
    guests = fields.List(fields.Nested(Person), required=True)
    visits = fields.List(Instant(), required=True)
    tags = fields.List(fields.String(), required=True)
    number_of_guests = computed(fields.Integer(required=True), lambda row: len(row["guests"]))
    # Schema has something else by the name of partial.
    is_partial = fields.Boolean(required=True, data_key="partial")


class Note(DocumentAnswer):
    text = fields.String()
    at = Instant()


@dataclass
class Years:
    number: int


@dataclass
class Owner:
    name: str
    years: Years


ADA = Owner("Ada", Years(36))
ROW = {
    "id": ID,
    "created_at": AT,
    "owner": ADA,
    "guests": [ADA],
    "visits": [AT],
    "tags": ["red"],
    "is_partial": False,
    "secret": "not documented",
}
IN_JSON = {"name": "Ada", "age": 36}


def schemas(base: type[Schema] = Schema) -> Iterator[type[Schema]]:
    """Yield every schema of the API."""
    for schema in base.__subclasses__():
        if schema.__module__.startswith("chronos_api"):
            yield schema
        yield from schemas(schema)


ANSWERS = [schema for schema in schemas() if issubclass(schema, Answer)]


def test_fields_are_written_by_their_type_and_others_are_left_out() -> None:
    assert House.of(ROW) == {
        "id": str(ID),
        "built_at": "2026-11-30T09:00:00.123Z",
        "owner": IN_JSON,
        "guests": [IN_JSON],
        "visits": ["2026-11-30T09:00:00.123Z"],
        "tags": ["red"],
        "number_of_guests": 1,
        "partial": False,
    }


def test_nothing_is_written_as_null_where_a_field_allows_it() -> None:
    answer = House.of(ROW | {"created_at": None, "owner": None})
    assert answer["built_at"] is None
    assert answer["owner"] is None


def test_a_field_without_a_source_is_an_error() -> None:
    with pytest.raises(KeyError, match="tags"):
        House.of({name: value for name, value in ROW.items() if name != "tags"})


def test_a_stored_document_is_answered_as_it_is_but_only_what_is_documented() -> None:
    assert Note.of({"text": "Hello", "secret": "x"}) == {"text": "Hello"}


def test_the_function_of_a_field_is_not_documented_nor_shared() -> None:
    metadata = {"description": "How many"}
    field = computed(fields.Integer(metadata=metadata), len)
    assert metadata == {"description": "How many"}
    assert field.metadata["description"] == "How many"


def test_every_schema_is_read_or_rendered() -> None:
    others = {each for each in schemas() if not issubclass(each, Strict | Answer)}
    # Errors are written in one place, ``chronos_api.http.errors``.
    assert others == {ProblemDocument, FieldError, QuotaExcess}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_every_answer_renders_exactly_the_fields_that_it_documents(answer: type[Answer]) -> None:
    documented = {field.data_key or name for name, field in answer().fields.items()}
    assert set(answer._names) == documented
    # No class renders anything beside them.
    assert answer.of.__func__ in {Answer.of.__func__, DocumentAnswer.of.__func__}
    if not issubclass(answer, DocumentAnswer):
        assert all(field.required for field in answer().fields.values())
