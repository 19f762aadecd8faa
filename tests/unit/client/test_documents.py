"""Documents become dataclasses, of this server, a newer one, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from chronos_client import documents
from chronos_client.errors import ServerAway
from chronos_client.models import Answered


@dataclass(frozen=True, kw_only=True)
class Inner(Answered):
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Outer(Answered):
    name: str
    inner: tuple[Inner, ...]
    end: datetime | None
    rest: Mapping[str, Any] | None = None


AT = "2026-12-01T02:03:04.005Z"


def test_instants_lists_and_nested_documents_are_converted() -> None:
    document = {"name": "x", "inner": [{"at": AT}], "end": None, "newer": 1}
    outer = documents.read(Outer, document)
    assert outer.inner[0].at == datetime(2026, 12, 1, 2, 3, 4, 5000, tzinfo=UTC)
    assert (outer.end, outer.rest) == (None, None)
    assert outer.document["newer"] == 1


def test_a_document_without_a_member_is_none_of_chronos() -> None:
    with pytest.raises(ServerAway, match="Check the address"):
        documents.read(Outer, {"name": "x"})
