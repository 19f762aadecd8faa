"""Accounts and logins."""

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict, computed
from chronos_api.fields.fields import EmailAddress, EmailToken, Instant, OneOf, Text
from chronos_api.fields.pagination import PageQuery, page_of
from chronos_api.security import password_hashing
from chronos_api.security.access import Role
from chronos_api.workspaces.schemas import Membership

_MAX_JWT_LENGTH = 4096
_PASSWORD = {"format": "password", "examples": ["SecurePass123!"]}


def password_field() -> Text:
    """Return the field of an existing password."""
    return Text(longest=password_hashing.MAX_LENGTH, shortest=1, required=True, metadata=_PASSWORD)


def code_field(*, required: bool) -> Text:
    """Return the field of a code of the second factor, or of a recovery code."""
    return Text(
        longest=40,
        shortest=1,
        required=required,
        metadata={"description": "Six digits of your application, or a recovery code"},
    )


def _new_password() -> Text:
    return Text(
        longest=password_hashing.MAX_LENGTH,
        shortest=password_hashing.MIN_LENGTH,
        required=True,
        metadata=_PASSWORD,
    )


class Credentials(Strict):
    """The address and the password of an account. With a second factor, a code too."""

    email = EmailAddress(required=True, metadata={"examples": ["user@example.com"]})
    password = password_field()
    code = code_field(required=False)


class Registration(Strict):
    """A new account. The token of an invitation makes it a member at once."""

    email = EmailAddress(required=True, metadata={"examples": ["user@example.com"]})
    password = _new_password()
    invitation = EmailToken()


class Refresh(Strict):
    """A refresh token, to be used up."""

    refresh_token = Text(
        longest=_MAX_JWT_LENGTH,
        shortest=1,
        required=True,
        metadata={"description": "The refresh token of the latest login or refresh"},
    )


class PasswordChange(Strict):
    """The password as it is, and as it shall be."""

    current_password = password_field()
    new_password = _new_password()
    revoke_keys = fields.Boolean(
        truthy={True},
        falsy={False},
        metadata={"description": "Also revoke the API keys that you made, in every workspace"},
    )


class PasswordForgotten(Strict):
    """Whose password is forgotten."""

    email = EmailAddress(required=True, metadata={"examples": ["user@example.com"]})


class PasswordReset(Strict):
    """A new password, and the token that permits it."""

    token = EmailToken(required=True)
    password = _new_password()


class VerificationToken(Strict):
    """The token that verifies an e-mail address."""

    token = EmailToken(required=True)


class User(Answer):
    """A user with an account."""

    id = fields.UUID()
    email = fields.String()
    email_verified = computed(fields.Boolean(), lambda row: row["verified_at"] is not None)
    is_operator = fields.Boolean(metadata={"description": "Runs this installation. See admin"})
    created_at = Instant()


class SessionAnswer(Answer):
    """A login that has not ended."""

    id = fields.UUID()
    started_at = Instant()
    last_used_at = Instant(
        metadata={
            "description": "When it was made or last refreshed. A browser's session is "
            "refreshed once a day"
        }
    )
    expires_at = Instant(metadata={"description": "When it ends if it is not used"})
    user_agent = fields.String(allow_none=True, metadata={"description": "The program's own name"})
    address = fields.String(allow_none=True, metadata={"description": "The program's address"})
    is_current = fields.Boolean(metadata={"description": "Whether it makes this request"})


class Sessions(Answer):
    """The logins of an account: up to 1,000."""

    items = fields.List(fields.Nested(SessionAnswer))


class Tokens(Answer):
    """A login: send the access token with every request, and refresh before it expires."""

    access_token = fields.String()
    refresh_token = fields.String(
        metadata={"description": "Can be used once. Using it again ends the login"}
    )
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(metadata={"description": "Seconds until the access token expires"})
    user = fields.Nested(User)


class WorkspaceOfMe(Answer):
    """The workspace of the request."""

    id = fields.UUID()
    name = fields.String()
    role = OneOf(Role)
    signing_secret = fields.String(
        allow_none=True,
        metadata={
            "description": "Verifies webhooks (Standard Webhooks). null unless an owner who "
            "is logged in asks",
            "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        },
    )


class Me(Answer):
    """The user who calls, the workspace of the request, and the user's workspaces."""

    user = fields.Nested(User)
    workspace = fields.Nested(
        WorkspaceOfMe,
        allow_none=True,
        metadata={"description": "null for a user who is not a member of any"},
    )
    workspaces = fields.List(
        fields.Nested(Membership),
        metadata={"description": "The default one first. X-Workspace chooses another"},
    )


class AccountsQuery(PageQuery):
    """Which accounts."""

    search = Text(longest=254, metadata={"description": "A part of the e-mail address"})


class AccountAnswer(User):
    """An account, as the operator sees it."""

    disabled_at = Instant(allow_none=True)


AccountPage = page_of(AccountAnswer, "AccountPage")


class ProcessAnswer(Answer):
    """A worker or a scheduler."""

    id = fields.UUID()
    kind = fields.String(metadata={"enum": ["worker", "scheduler"]})
    hostname = fields.String()
    pid = fields.Integer()
    version = fields.String(metadata={"description": "The release of Chronos"})
    started_at = Instant()
    heartbeat_at = Instant(metadata={"description": "Its last sign of life"})
    in_flight = fields.Integer(metadata={"description": "Executions that it holds"})
    alive = fields.Boolean(metadata={"description": "false: rescue is about to take it for lost"})


class QueueAnswer(Answer):
    """A queue of messages for workers."""

    name = fields.String()
    messages = fields.Integer(
        metadata={"description": "That wait, each with up to 500 executions"}
    )


class ProcessList(Answer):
    """The processes of the installation, up to 1,000, and its queues."""

    items = fields.List(fields.Nested(ProcessAnswer))
    queues = fields.List(
        fields.Nested(QueueAnswer), metadata={"description": "Empty while Redis is away"}
    )


class PasswordConfirmation(Strict):
    """The password, once more."""

    current_password = password_field()


class Code(Strict):
    """A code of the second factor."""

    code = code_field(required=True)


class SecondFactorProof(PasswordConfirmation):
    """The password and a code, once more."""

    code = code_field(required=True)


class SecondFactor(Answer):
    """Whether a login needs a code."""

    enabled = fields.Boolean()
    confirmed_at = Instant(allow_none=True)
    recovery_codes_left = fields.Integer()


class SecondFactorSetup(Answer):
    """The secret of a new second factor, which is shown once."""

    secret = fields.String(
        metadata={"description": "In base32, to be typed into an application (RFC 6238)"}
    )
    otpauth_uri = fields.String(metadata={"description": "The same for a QR code or a link"})


class RecoveryCodes(Answer):
    """Codes for when the application is lost. Each serves once. They are shown once."""

    recovery_codes = fields.List(fields.String())
