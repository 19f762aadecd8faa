"""Requests to delete, and their answers."""

from marshmallow import fields

from chronos_api.accounts.schemas import password_field
from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import Instant, Text
from chronos_api.workspaces.schemas import MAX_NAME_LENGTH


class WorkspaceDeletion(Strict):
    """The deletion of a workspace, confirmed by its name and your password."""

    name = Text(
        longest=MAX_NAME_LENGTH,
        required=True,
        metadata={
            "description": "The workspace's name, as it stands",
            "examples": ["Old project"],
        },
    )
    current_password = password_field()


class AccountDeletion(Strict):
    """The deletion of your account, confirmed by your password."""

    current_password = password_field()


class DeletedWorkspace(Answer):
    """A deleted workspace."""

    id = fields.UUID()
    name = fields.String()
    purge_at = Instant(
        allow_none=True,
        metadata={"description": "From then on its data is gone. null if it is not deleted"},
    )
