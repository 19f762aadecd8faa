"""The errors of Chronos: a small tree whose docstrings are the messages that users read.

Only ``chronos_api.errors`` knows which HTTP status each one is.
"""


class ChronosError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        """Take ``message``, or the class's docstring as the message."""
        super().__init__(message or (type(self).__doc__ or "").strip())


class NotFound(ChronosError):
    """There is no such thing here."""


class JobNotFound(NotFound):
    """There is no such job in this workspace."""


class ExecutionNotFound(NotFound):
    """There is no such execution in this workspace."""


class Conflict(ChronosError):
    """The thing is in a state that does not allow this."""


class VersionConflict(ChronosError):
    """The job was changed since you read it; read it again and repeat your change."""


class Unauthenticated(ChronosError):
    """Log in, or send an access token as 'Authorization: Bearer <token>'."""


class Forbidden(ChronosError):
    """Your role in this workspace does not allow this."""


class Invalid(ChronosError):
    """A value is wrong; ``fields`` maps each wrong field to what is wrong and the remedy."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        """Take the messages by field; nested fields are joined with dots."""
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items()))
        self.fields = fields


class SettingsInvalid(ChronosError):
    """The settings are wrong."""


class Unavailable(ChronosError):
    """A service that Chronos needs does not answer; try again in a moment."""
