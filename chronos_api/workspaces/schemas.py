"""Workspaces, their members and invitations."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict, computed
from chronos_api.fields.fields import EmailAddress, EmailToken, Instant, Name, OneOf, Text, Whole
from chronos_api.fields.pagination import page_of
from chronos_api.quotas.schemas import QuotaUse
from chronos_api.security.access import Role
from chronos_common.domain import redaction
from chronos_common.domain.urls import MAX_URL_LENGTH

MAX_NAME_LENGTH = 100
DEFAULT_GRACE_HOURS = 24


class Membership(Answer):
    """A workspace, and the role of a member."""

    id = fields.UUID()
    name = fields.String()
    role = OneOf(Role)
    joined_at = Instant()
    purge_at = Instant(
        allow_none=True,
        metadata={"description": "If it is deleted: until then an owner may restore it"},
    )


class WorkspaceFields(Strict):
    """A new workspace."""

    name = Name(longest=MAX_NAME_LENGTH, required=True)


class WorkspaceChange(Strict):
    """Settings of a workspace. Fields that are left out stay."""

    name = Name(longest=MAX_NAME_LENGTH)
    default_webhook_url = Text(
        longest=MAX_URL_LENGTH,
        shortest=1,
        allow_none=True,
        metadata={
            "description": "Where payloads go that name no URL, or null for nowhere",
            "format": "uri",
            "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20\x7f/?#]",
            "examples": ["https://example.com/hook"],
        },
    )


def _default_webhook_url(row: Mapping[Any, Any]) -> str | None:
    url = row["default_webhook_url"]
    return None if url is None else redaction.url(url)


class WorkspaceAnswer(Answer):
    """A workspace with its settings."""

    id = fields.UUID()
    name = fields.String()
    role = OneOf(Role)
    default_webhook_url = computed(
        fields.String(
            allow_none=True, metadata={"description": "Secret parts are answered as [redacted]"}
        ),
        _default_webhook_url,
    )
    created_at = Instant()


class WorkspaceDetail(WorkspaceAnswer):
    """A workspace with its settings, and its use of its quotas."""

    quotas = fields.List(
        fields.Nested(QuotaUse),
        metadata={"description": "The bounds of the workspace, and how much of each it uses"},
    )


class Memberships(Answer):
    """The workspaces of the caller, the default one first."""

    items = computed(fields.List(fields.Nested(Membership)), list)
    total = computed(fields.Integer(), len)


class Rotation(Strict):
    """How long the secret before goes on to be used too."""

    grace_hours = Whole(
        low=0,
        high=168,
        load_default=DEFAULT_GRACE_HOURS,
        metadata={"description": "Hours during which webhooks are signed with both secrets"},
    )


class SigningSecret(Answer):
    """The secret with which receivers verify webhooks (Standard Webhooks)."""

    signing_secret = fields.String(
        metadata={"examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}
    )
    previous_signing_secret = fields.String(allow_none=True)
    previous_secret_until = Instant(
        allow_none=True,
        metadata={"description": "Until then, webhooks are signed with the previous one too"},
    )


class Member(Answer):
    """A member of a workspace."""

    user_id = fields.UUID()
    email = fields.String()
    role = OneOf(Role)
    joined_at = Instant()


class Members(Answer):
    """Every member, in the order in which they joined."""

    items = computed(fields.List(fields.Nested(Member)), list)
    total = computed(fields.Integer(), len)


class MemberChange(Strict):
    """Another role for a member."""

    role = OneOf(Role, required=True, metadata={"description": "What they may do from now on"})


class InvitationFields(Strict):
    """The address and the role of a new member."""

    email = EmailAddress(required=True, metadata={"examples": ["colleague@example.com"]})
    role = OneOf(Role, required=True, metadata={"description": "What they may do as a member"})


class InvitationToken(Strict):
    """The token that accepts an invitation."""

    token = EmailToken(required=True)


class InvitationAnswer(Answer):
    """An invitation. Its token is in the e-mail only."""

    id = fields.UUID()
    email = fields.String()
    role = OneOf(Role)
    invited_by = fields.String(
        attribute="invited_by_email",
        allow_none=True,
        metadata={"description": "Their e-mail address"},
    )
    created_at = Instant()
    expires_at = Instant()


InvitationPage = page_of(InvitationAnswer, "InvitationPage")
