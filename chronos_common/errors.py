"""The errors of Chronos: a small tree whose docstrings are the messages that users read.

Only ``chronos_api.http.errors`` knows which HTTP status each one is.
"""

from collections.abc import Mapping, Sequence

#: Exit code of a command after an error of ours.
EXIT_CODE = 2


class ChronosError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
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


class SecondFactorRequired(ChronosError):
    """This account has a second factor. Send a code of it, or a recovery code, as 'code'."""


class Forbidden(ChronosError):
    """Your role in this workspace does not allow this."""


class Invalid(ChronosError):
    """A value is wrong; ``fields`` maps each wrong field to what is wrong and the remedy."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items()))
        self.fields = fields


class NoAnswer(ChronosError):
    """The awaited event did not come in time."""


class InvalidItems(ChronosError):
    """Some of the items are wrong; ``items`` maps the index of each to its wrong fields."""

    def __init__(self, items: Mapping[int, Mapping[str, Sequence[str]]]) -> None:
        super().__init__()
        self.items = items


class SettingsInvalid(ChronosError):
    """The settings are wrong."""


class TooManyRequests(ChronosError):
    """Too many requests; wait before the next one."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Unavailable(ChronosError):
    """A service that Chronos needs does not answer; try again in a moment."""
