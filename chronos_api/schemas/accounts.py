"""Accounts and logins."""

from marshmallow import Schema, fields

from chronos_api import passwords
from chronos_api.access import Role
from chronos_api.schemas.fields import EmailAddress, Instant, OneOf, Text
from chronos_api.schemas.strict import Strict

_MAX_TOKEN_LENGTH = 4096


class Credentials(Strict):
    """What somebody logs in with."""

    email = EmailAddress(required=True, metadata={"examples": ["user@example.com"]})
    password = Text(
        longest=passwords.MAX_LENGTH,
        shortest=1,
        required=True,
        metadata={"format": "password", "examples": ["SecurePass123!"]},
    )


class Registration(Credentials):
    """What a new account is made of."""

    password = Text(
        longest=passwords.MAX_LENGTH,
        shortest=passwords.MIN_LENGTH,
        required=True,
        metadata={"format": "password", "examples": ["SecurePass123!"]},
    )


class Refresh(Strict):
    """A refresh token, to be used up."""

    refresh_token = Text(longest=_MAX_TOKEN_LENGTH, shortest=1, required=True)


class User(Schema):
    """Somebody with an account."""

    id = fields.UUID(required=True)
    email = fields.String(required=True)
    created_at = Instant(required=True)


class Tokens(Schema):
    """A login: send the access token with every request, and refresh before it expires."""

    access_token = fields.String(required=True)
    refresh_token = fields.String(
        required=True, metadata={"description": "Can be used once; using it again ends the login"}
    )
    token_type = fields.String(required=True, metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds until the access token expires"}
    )
    user = fields.Nested(User, required=True)


class Workspace(Schema):
    """The tenant that jobs belong to."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    role = OneOf(Role, required=True)
    signing_secret = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Verifies webhooks (Standard Webhooks); null for viewers",
            "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        },
    )


class Me(Schema):
    """Who calls, and in which workspace."""

    user = fields.Nested(User, required=True)
    workspace = fields.Nested(Workspace, required=True)
