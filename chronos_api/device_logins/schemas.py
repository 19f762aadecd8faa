"""Requests and answers of logins of programs."""

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import Name, Text
from chronos_api.workspaces.key_schemas import MAX_KEY_NAME, KeyRights, scopes_field

_LONGEST_CODE = 100


class DeviceLoginFields(Strict):
    """A program that asks to be let in."""

    name = Name(
        longest=MAX_KEY_NAME,
        required=True,
        metadata={
            "description": "The name of the program and its machine. Becomes that of its API key",
            "examples": ["chronos on laptop"],
        },
    )
    scopes = scopes_field("The rights that it asks for. The person may choose others")


class DeviceCodesAnswer(Answer):
    """The codes of a program that asks to be let in."""

    device_code = fields.String(
        metadata={"description": "The program's secret, for auth/device/token"}
    )
    user_code = fields.String(
        metadata={"description": "What the person types", "examples": ["BDWP-HQPK"]}
    )
    verification_uri = fields.String(
        metadata={"description": "The page to type it at", "format": "uri"}
    )
    verification_uri_complete = fields.String(
        metadata={"description": "The same page, with the code filled in", "format": "uri"}
    )
    expires_in = fields.Integer(metadata={"description": "Seconds until the codes expire"})
    interval = fields.Integer(metadata={"description": "Seconds between two polls, at least"})


class DeviceCode(Strict):
    """The secret of a program that asks to be let in."""

    device_code = Text(
        longest=_LONGEST_CODE,
        shortest=1,
        required=True,
        metadata={"description": "The device_code of auth/device"},
    )


class StillPending(Answer):
    """Nobody has answered yet."""

    interval = fields.Integer(metadata={"description": "Seconds to wait before the next poll"})


class UserCode(Strict):
    """The code that a program shows."""

    code = Text(longest=_LONGEST_CODE, shortest=1, required=True)


class Approval(KeyRights):
    """The workspace and the rights that a person gives to a program."""

    workspace_id = fields.UUID(required=True)
