"""Cursors."""

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_api.fields import cursors
from chronos_common.errors import Invalid


@given(st.uuids())
def test_a_cursor_goes_on_behind_its_id(identifier: UUID) -> None:
    assert cursors.read(cursors.write(identifier)) == identifier


def test_no_cursor_is_none() -> None:
    assert cursors.read(None) is None


@given(st.text(max_size=100))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    with suppress(Invalid):
        assert cursors.read(text) is not None


@pytest.mark.parametrize("text", ["", "x", "=" * 22, "AaH7-R3LdOS8D3oRE5jKw", "é" * 22, "A" * 23])
def test_what_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        cursors.read(text)
