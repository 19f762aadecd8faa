"""Schemas of what is sent: unknown fields are refused, and every message names the remedy."""

from typing import Any

from marshmallow import RAISE, Schema, fields

_FIELD_MESSAGES = {
    "required": "Missing; it is required.",
    "null": "Must not be null.",
    "invalid": "Must be a list.",
}


class Strict(Schema):
    """Refuses what it does not know."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own type
        "unknown": "Unknown field; remove it.",
        "type": "Must be an object.",
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give the field messages in the words of this API."""
        super().on_bind_field(field_name, field_obj)
        field_obj.error_messages |= _FIELD_MESSAGES
        if isinstance(field_obj, fields.List):
            self.on_bind_field(field_name, field_obj.inner)
