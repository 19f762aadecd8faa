"""Columns that follow from the fields of a class, so that a field is written once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from sqlalchemy import ARRAY, Boolean, Column, DateTime, Float, Integer, Text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.types import TypeEngine

#: The types of the columns for fields of these types.
_TYPES: Final[Mapping[type, TypeEngine[Any]]] = {
    str: Text(),
    bool: Boolean(),
    int: Integer(),
    float: Float(),
    datetime: DateTime(timezone=True),
}


def of_fields(
    kind: type[Any], *, without: Collection[str] = (), **types: TypeEngine[Any]
) -> list[Column[Any]]:
    """Return a column for each field of a class, of the field's name and type.

    ``types`` are the types of columns that differ from their fields.
    """
    return [
        Column(name, types.get(name) or _type_of(hint), nullable=NoneType in get_args(hint))
        for name, hint in get_type_hints(kind).items()
        if name not in without
    ]


def _type_of(hint: Any) -> TypeEngine[Any]:
    """Return the type of the column for a field of the type ``hint``, which may be optional."""
    arguments = get_args(hint)
    if NoneType in arguments:
        (hint,) = set(arguments) - {NoneType}
        return _type_of(hint)
    if get_origin(hint) is Sequence:
        return ARRAY(_type_of(arguments[0]))
    if get_origin(hint) is Mapping:
        return JSON()
    return Text() if issubclass(hint, StrEnum) else _TYPES[hint]
