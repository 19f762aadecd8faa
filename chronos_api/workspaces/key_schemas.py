"""API keys."""

from marshmallow import fields
from marshmallow.validate import Length

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import BoundedList, Instant, Name, OneOf
from chronos_api.fields.pagination import page_of
from chronos_api.security.access import Scope

MAX_KEY_NAME = 100

_SCOPES = len(Scope)


def scopes_field(description: str) -> BoundedList:
    """Return the field of the scopes of a key."""
    return BoundedList(
        OneOf(Scope),
        required=True,
        validate=Length(min=1, max=_SCOPES, error=f"From 1 to {_SCOPES} scopes."),
        metadata={"description": description, "examples": [["jobs:read", "jobs:write"]]},
    )


class KeyRights(Strict):
    """What an API key may do, and until when."""

    scopes = scopes_field("The rights of the key, as far as its maker has them")
    expires_at = Instant(
        allow_none=True, metadata={"description": "When it expires, or null for never"}
    )


class KeyFields(KeyRights):
    """A new API key."""

    name = Name(longest=MAX_KEY_NAME, required=True)


class KeyAnswer(Answer):
    """An API key, without its secret."""

    id = fields.UUID()
    name = fields.String()
    prefix = fields.String(
        metadata={"description": "The beginning of the key", "examples": ["chr_k3x9a8q2mz"]}
    )
    scopes = fields.List(OneOf(Scope))
    created_by = fields.String(
        attribute="user_email", metadata={"description": "The e-mail address of whom it acts as"}
    )
    created_at = Instant()
    expires_at = Instant(allow_none=True)
    last_used_at = Instant(allow_none=True, metadata={"description": "To the minute"})


class NewKeyAnswer(KeyAnswer):
    """A new API key: the only time that it is shown."""

    key = fields.String(metadata={"description": "Keep it. It is not shown again"})


KeyPage = page_of(KeyAnswer, "KeyPage")
