"""Texts of the form's fields, as a browser sends them back."""

from typing import Any

import pytest

from chronos_api.ui.forms import texts


@pytest.mark.parametrize(
    "value",
    ["plain", "two\nlines", "two\r\nlines", "a\rb", " edge\n", "12", {"a": [1, None]}, True],
)
def test_a_body_that_nobody_edits_stays_to_the_letter(value: Any) -> None:
    """Fails if an edit of the address changes the ends of lines of the body."""
    sent = texts.text_of(value).replace("\r", "").replace("\n", "\r\n")
    assert texts.json_or_text(texts.trimmed(sent)) == value
