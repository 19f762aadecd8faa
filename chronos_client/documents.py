"""JSON documents become dataclasses: instants, lists and nested documents are converted.

Members that a class does not know are ignored, so that an old client reads a newer server. The
whole document stays at hand as ``document``.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from chronos_client.errors import ServerAway

_T = TypeVar("_T")
_Reader = Callable[[Any], Any]

#: The field that keeps the whole document.
_WHOLE = "document"


def read(kind: type[_T], document: Mapping[str, Any]) -> _T:
    """Return the document as an instance of a dataclass. Raises :class:`ServerAway`.

    A member without a default that is missing means that the server is no Chronos, or far older.
    """
    values = {
        name: reader(document[name])
        for name, reader in _readers(cast("Hashable", kind)).items()
        if name in document
    }
    try:
        return kind(**values, **{_WHOLE: document})
    except TypeError as error:
        raise ServerAway(
            f"The server's answer is no {kind.__name__}: {error}. "
            "Check the address, and whether the server is as new as this client."
        ) from error


def written(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that have a value as JSON has them: instants as texts."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def instant(text: str) -> datetime:
    """Return the instant that an RFC 3339 text of the server names."""
    return datetime.fromisoformat(text)


@lru_cache
def _readers(kind: Any) -> Mapping[str, _Reader]:
    hints = get_type_hints(kind)
    return {each.name: _reader(hints[each.name]) for each in fields(kind) if each.name != _WHOLE}


def _reader(hint: Any) -> _Reader:
    if isinstance(hint, UnionType):
        (inner,) = [each for each in get_args(hint) if each is not NoneType]
        reader = _reader(inner)
        return lambda value: None if value is None else reader(value)
    if hint is datetime:
        return instant
    if get_origin(hint) is tuple:
        item = _reader(get_args(hint)[0])
        return lambda values: tuple(map(item, values))
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda value: read(hint, value)
    return lambda value: value
